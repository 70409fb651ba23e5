//! Dead letters with their payload in S3: they are shown, filtered and replayed without a loss.

use std::collections::BTreeMap;

use drumline_dlq::line::Lines;
use drumline_tests::{App, Finished, Launch, Setup, TestQueue, create_bucket, eventually, localstack, put};
use serde_json::{Value, json};

/// Returns a queue with a dead letter in S3, and another one. A message sent to a DLQ is a dead letter.
async fn dead() -> (TestQueue, String, String) {
    let (queue, bucket) = (TestQueue::create("letters", Setup::default()).await, create_bucket().await);
    let job = |id: &str, user: u32| {
        json!({ "type": "order.placed", "jobId": id, "payload": { "userId": user } }).to_string()
    };
    put(&bucket, "letters/1", job("j-s3", 7)).await;
    let body = format!(
        r#"["com.amazon.sqs.javamessaging.MessageS3Pointer", {{"s3BucketName": "{bucket}", "s3Key": "letters/1"}}]"#
    );
    let letters = TestQueue { url: queue.dead_letter_url.clone(), ..queue.clone() };
    let size = ("SQSLargePayloadSize", "Number.int", "65");
    letters.send_with(&body, &[size, ("tenant", "String", "acme")]).await;
    letters.send(&job("j-plain", 8)).await;
    (queue, bucket, body)
}

async fn dlq(queue: &TestQueue, bucket: Option<&str>, args: &[&str]) -> Finished {
    let args = [&["dlq"], args, &["--queue-url", &queue.url]].concat();
    let launch = Launch::new(&args)
        .env("AWS_ENDPOINT_URL", &localstack())
        .env("DRUMLINE_PAYLOAD_BUCKETS", bucket.unwrap_or_default());
    let state = tempfile::tempdir().unwrap();
    launch.env("XDG_STATE_HOME", &state.path().display().to_string()).finish().await
}

fn lines(finished: &Finished) -> Vec<Value> {
    finished.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_letter_in_s3_is_shown_and_chosen_by_its_payload() {
    let (queue, bucket, body) = dead().await;
    let ls = ["ls", "--match", "/payload/userId=7", "--type", "order.placed", "--output", "json"];
    let listed = lines(&dlq(&queue, Some(&bucket), &ls).await);
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!((&listed[0]["jobId"], &listed[0]["type"]), (&json!("j-s3"), &json!("order.placed")));

    let shown = dlq(&queue, Some(&bucket), &["show", "j-s3", "--output", "json"]).await;
    let shown = lines(&shown).remove(0);
    assert_eq!(
        (&shown["body"], &shown["pointer"]),
        (&json!(body), &json!(format!("s3://{bucket}/letters/1")))
    );
    let opened: Value = serde_json::from_str(shown["opened"].as_str().unwrap()).unwrap();
    assert_eq!(opened["payload"]["userId"], 7);
    let table = dlq(&queue, Some(&bucket), &["show", "j-s3"]).await.stdout.join("\n");
    assert!(table.contains(&format!("PAYLOAD IN s3://{bucket}/letters/1\n")), "{table}");

    // Without the bucket it reports that it cannot read the payload.
    let blind = dlq(&queue, None, &ls).await;
    assert!(blind.stdout.is_empty(), "{:?}", blind.stdout);
    let said = blind.errors();
    assert!(
        said.contains("1 payload could not be opened") && said.contains("DRUMLINE_PAYLOAD_BUCKETS"),
        "{said}"
    );
}

#[tokio::test]
async fn a_replay_puts_pointer_and_marker_back_as_they_were() {
    for is_opened in [true, false] {
        let (queue, bucket, body) = dead().await;
        let bucket_if = is_opened.then_some(&*bucket);
        let set = ["--set", "/1/s3Key=other", "--match", "/payload/userId=7"];
        let changed = [&["replay", "--to", &queue.url, "--yes"], &set[..]].concat();
        if is_opened {
            let refused = dlq(&queue, bucket_if, &changed).await;
            assert_eq!(refused.status, Some(1), "{}", refused.errors());
            assert!(refused.errors().contains("the payload is in S3"), "{}", refused.errors());
        }
        let replayed =
            dlq(&queue, bucket_if, &["replay", "--to", &queue.url, "--yes", "--expect", "2"]).await;
        assert_eq!(replayed.status, Some(0), "{}", replayed.errors());
        assert_eq!(queue.dead_count().await, 0);
        let messages = queue.peek().await;
        let letter =
            messages.iter().find(|message| message.body() == Some(&body)).expect("the pointer is back");
        let attributes: BTreeMap<&str, (&str, &str)> = letter
            .message_attributes()
            .unwrap()
            .iter()
            .map(|(name, value)| (&**name, (value.data_type(), value.string_value().unwrap())))
            .collect();
        let mut expected =
            BTreeMap::from([("SQSLargePayloadSize", ("Number.int", "65")), ("tenant", ("String", "acme"))]);
        if !is_opened {
            // It is unknown if its payload names a job.
            let added = attributes["DrumlineJobId"];
            expected.insert("DrumlineJobId", added);
        }
        assert_eq!(attributes, expected);

        // It runs like a new message.
        let app = App::always_ok().await;
        let worker = Launch::run(&queue)
            .env("DRUMLINE_FORWARD_TO", &app.url())
            .env("DRUMLINE_PAYLOAD_BUCKETS", &bucket)
            .spawn();
        eventually("both are done", async || app.count() == 2 && queue.is_empty().await).await;
        let ids: Vec<_> = app
            .calls()
            .iter()
            .filter_map(|call| call.header("x-drumline-job-id").map(str::to_owned))
            .collect();
        assert!(ids.contains(&"j-s3".to_owned()), "{ids:?}");
        worker.stop().await;
    }
}

#[tokio::test]
async fn an_export_keeps_pointer_and_marker() {
    let (queue, bucket, body) = dead().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display().to_string();
    std::fs::remove_file(&path).unwrap();
    let exported = dlq(&queue, Some(&bucket), &["export", &path, "--match", "/payload/userId=7"]).await;
    assert_eq!(exported.status, Some(0), "{}", exported.errors());
    let content = std::fs::read(&path).unwrap();
    let (_, letters) = Lines::open(&content[..]).unwrap();
    let letters: Vec<_> = letters.map(|letter| letter.unwrap()).collect();
    assert_eq!(letters.len(), 1);
    assert_eq!((&*letters[0].message.body, letters[0].job_type.as_deref()), (&*body, Some("order.placed")));
    let marker = &letters[0].message.attributes["SQSLargePayloadSize"];
    assert_eq!((marker.data_type(), marker.as_text()), ("Number.int", Some("65")));
}
