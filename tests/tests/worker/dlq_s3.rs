//! `drumline dlq export s3://…` against LocalStack's S3: signatures, conditional writes, and objects that are exports.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use drumline_dlq::line::Lines;
use drumline_tests::{Finished, Launch, REGION, Setup, TestQueue, localstack};
use serde_json::json;

const LETTERS: usize = 25;

/// Returns the test's own client, and a new bucket.
async fn bucket() -> (Client, String) {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .credentials_provider(Credentials::from_keys("test", "test", None))
        .endpoint_url(localstack())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .force_path_style(true);
    let client = Client::from_conf(config.build());
    let name = format!("letters-{}-{}", std::process::id(), fastrand::u32(..));
    let place = CreateBucketConfiguration::builder();
    let place = place.location_constraint(BucketLocationConstraint::from(REGION)).build();
    client.create_bucket().bucket(&name).create_bucket_configuration(place).send().await.unwrap();
    (client, name)
}

/// Returns a queue with dead letters. A message sent to a DLQ is one.
async fn dead(name: &str) -> TestQueue {
    let queue = TestQueue::create(name, Setup::default()).await;
    for n in 0..LETTERS {
        let body =
            json!({ "jobId": format!("j-{n}"), "type": "email.send", "payload": { "ü": n } }).to_string();
        let send = queue.client.send_message().queue_url(&queue.dead_letter_url).message_body(body);
        send.send().await.unwrap();
    }
    queue
}

async fn export(queue: &TestQueue, bucket: &str) -> Finished {
    let target = format!("s3://{bucket}/dead/jobs");
    dlq(queue, &["export", &target, "--name", "INC-42", "--delete"]).finish().await
}

/// `drumline dlq ARGS…` on the DLQ of this queue.
fn dlq(queue: &TestQueue, args: &[&str]) -> Launch {
    let args = [&["dlq"], args, &["--queue-url", &queue.url]].concat();
    Launch::new(&args).env("AWS_ENDPOINT_URL", &localstack())
}

#[tokio::test]
async fn letters_are_deleted_after_s3_has_them_without_overwriting() {
    let (s3, bucket) = bucket().await;
    let queue = dead("archived").await;
    let finished = export(&queue, &bucket).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!(queue.dead_count().await, 0);
    let key = "dead/jobs/INC-42/000001.jsonl";
    let object = async || {
        let reply = s3.get_object().bucket(&bucket).key(key).send().await.unwrap();
        reply.body.collect().await.unwrap().into_bytes()
    };
    let content = object().await;
    let (header, lines) = Lines::open(&content[..]).unwrap();
    let bodies: Vec<String> = lines.map(|letter| letter.unwrap().message.body).collect();
    assert_eq!((&*header.name, bodies.len()), ("INC-42", LETTERS));
    assert!(bodies.iter().all(|body| body.contains("\"ü\":")), "{bodies:?}");

    let other = dead("second").await;
    let refused = export(&other, &bucket).await;
    assert_eq!(refused.status, Some(64), "{}", refused.errors());
    assert!(refused.errors().contains("is there already"), "{}", refused.errors());
    assert_eq!((other.dead_count().await as usize, object().await), (LETTERS, content));
}

#[tokio::test]
async fn an_export_is_continued_and_all_its_letters_come_back() {
    let (_, bucket) = bucket().await;
    let queue = dead("continued").await;
    let state = tempfile::tempdir().unwrap();
    let run = async |args: &[&str]| {
        let launch = dlq(&queue, args).env("XDG_STATE_HOME", &state.path().display().to_string());
        let finished = launch.finish().await;
        assert_eq!(finished.status, Some(0), "{args:?}: {}", finished.errors());
        finished.stdout.concat()
    };
    let place = format!("s3://{bucket}/dead/jobs/INC-42/");
    let prefix = format!("s3://{bucket}/dead/jobs");
    let first =
        run(&["export", &prefix, "--name", "INC-42", "--delete", "--limit", "10", "--output=json"]).await;
    assert!(first.contains(r#""deleted":10"#), "{first}");
    let second = run(&["export", &place, "--delete", "--resume", "--output=json"]).await;
    assert!(second.contains(r#""exported":15,"deleted":15"#), "{second}");
    assert_eq!(queue.dead_count().await, 0);
    let undone = run(&["undo", "INC-42", "--yes", "--output=json"]).await;
    assert!(undone.contains(r#""putBack":25"#), "{undone}");
    assert_eq!(queue.dead_count().await as usize, LETTERS);
}
