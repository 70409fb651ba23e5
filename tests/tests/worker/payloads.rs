//! Payloads in S3 and compressed payloads, in a worker that forwards and in one with handlers, against LocalStack's S3.

use std::time::Duration;

use aws_sdk_sqs::types::Message;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drumline::message::ContentEncoding;
use drumline_runtime::payload::compress;
use drumline_tests::{
    Answer, App, EVERY_ACTION, Fault, Launch, Proxy, Setup, TestQueue, create_bucket, eventually,
    eventually_within, objects, put,
};
use serde_json::{Value, json};

/// Longer than the hidden time of a message whose payload was not read.
const HIDDEN: Duration = Duration::from_secs(100);

const MARKER: &str = "ExtendedPayloadSize";

fn pointer(bucket: &str, key: &str) -> String {
    json!(["software.amazon.payloadoffloading.PayloadS3Pointer", { "s3BucketName": bucket, "s3Key": key }])
        .to_string()
}

/// A worker that reads payloads from this bucket and forwards them.
fn forwarding(queue: &TestQueue, app: &App, buckets: &str) -> Launch {
    Launch::run(queue).env("DRUMLINE_FORWARD_TO", &app.url()).env("DRUMLINE_PAYLOAD_BUCKETS", buckets)
}

async fn send_pointer(queue: &TestQueue, bucket: &str, key: &str) -> String {
    queue.send_with(&pointer(bucket, key), &[(MARKER, "Number", "9"), ("tenant", "String", "acme")]).await
}

/// Returns the only dead letter. Its pointer and its marker must be unchanged.
async fn dead_pointer(queue: &TestQueue, body: &str) -> Message {
    eventually("it is in the DLQ", async || queue.dead_count().await == 1).await;
    let dead = queue.take_dead().await.remove(0);
    assert_eq!(dead.body(), Some(body));
    let attributes = dead.message_attributes().unwrap();
    assert_eq!((attributes[MARKER].data_type(), attributes[MARKER].string_value()), ("Number", Some("9")));
    assert_eq!(attributes["tenant"].string_value(), Some("acme"));
    dead
}

#[tokio::test]
async fn every_form_of_a_payload_reaches_the_application_unchanged() {
    let (queue, bucket, app) = (
        TestQueue::create("payloads", Setup::default()).await,
        create_bucket().await,
        App::always_ok().await,
    );
    let large = format!("{{\"text\": \"{}\"}}", "ü".repeat(1_000_000));
    let key = "from java/ü+1";
    let java = create_bucket().await;
    put(&java, "from%20java/%C3%BC%2B1", large.clone()).await;
    put(&bucket, "zstd", compress(ContentEncoding::Zstd, "compressed in S3")).await;
    put(&bucket, "raw", STANDARD.decode(compress(ContentEncoding::Gzip, "as bytes")).unwrap()).await;
    let ordinary = json!(["a.PayloadS3Pointer", { "s3BucketName": bucket, "s3Key": "zstd" }]).to_string();
    let shaded = format!("[\"shaded.{}", &pointer(&java, key)[2..]);
    let legacy = format!(
        r#"["com.amazon.sqs.javamessaging.MessageS3Pointer", {{"s3BucketName": "{java}", "s3Key": "{key}"}}]"#
    );
    let wrapped = json!({
        "Type": "Notification", "MessageId": "n-1", "TopicArn": "arn:aws:sns:eu-central-1:000000000000:t",
        "Message": pointer(&bucket, "zstd"),
        "MessageAttributes": {
            MARKER: { "Type": "Number", "Value": "9" }, "contentEncoding": { "Type": "String", "Value": "zstd" },
        },
    });
    let gzip = ("contentEncoding", "String", "gzip");
    let (size, legacy_size) = ((MARKER, "Number", "2000012"), ("SQSLargePayloadSize", "Number", "2000012"));
    let own = ("tenant", "String", "acme");
    let sent: [(&str, Vec<_>, &str); 8] = [
        (&pointer(&java, key), vec![size, own], &large),
        (&shaded, vec![size, own], &large),
        (&legacy, vec![legacy_size, own], &large),
        (&compress(ContentEncoding::Gzip, "inline"), vec![gzip, own], "inline"),
        (&pointer(&bucket, "raw"), vec![size, gzip, own], "as bytes"),
        (
            &pointer(&bucket, "zstd"),
            vec![size, ("contentEncoding", "String", "zstd"), own],
            "compressed in S3",
        ),
        (&ordinary, vec![own], &ordinary),
        ("as it is", vec![("contentEncoding", "String", "identity"), own], "as it is"),
    ];
    let worker = forwarding(&queue, &app, &format!("{bucket}, {java}/from java/")).spawn();
    for (body, attributes, _) in &sent {
        queue.send_with(body, attributes).await;
    }
    queue.send(&wrapped.to_string()).await;
    eventually("all are done", async || app.count() > sent.len() && queue.is_empty().await).await;

    let mut received: Vec<String> = app
        .calls()
        .into_iter()
        .map(|call| {
            let is_known = |name: &str| call.header(&format!("x-aws-sqsd-attr-{name}")).is_some();
            assert!(!is_known(MARKER) && !is_known("SQSLargePayloadSize"), "{:?}", call.headers);
            let Ok(notification) = serde_json::from_str::<Value>(&call.body) else { return call.body };
            if notification["MessageId"] != "n-1" {
                assert!(is_known("tenant") && !is_known("contentEncoding"), "{:?}", call.headers);
                return call.body;
            }
            assert_eq!(notification["MessageAttributes"], json!({}));
            notification["Message"].as_str().unwrap().to_owned()
        })
        .collect();
    let mut expected: Vec<String> = sent.iter().map(|(_, _, body)| (*body).to_owned()).collect();
    expected.push("compressed in S3".to_owned());
    received.sort();
    expected.sort();
    assert!(received == expected, "{:?}", received.iter().map(String::len).collect::<Vec<_>>());
    assert_eq!(objects(&bucket).await.len(), 2, "an object outlives its message");
    worker.stop().await;
}

#[tokio::test]
async fn a_job_has_the_identity_that_its_payload_says() {
    let (queue, bucket) = (TestQueue::create("identity", Setup::default()).await, create_bucket().await);
    let job =
        json!({ "type": "sample.flaky", "jobId": "from-s3", "payload": { "succeedsAt": 1 } }).to_string();
    put(&bucket, "job", job).await;
    let worker = Launch::run(&queue).env("DRUMLINE_PAYLOAD_BUCKETS", &bucket).spawn();
    send_pointer(&queue, &bucket, "job").await;
    worker.until_logged("done", 1).await;
    // Sent earlier, it would wait for the first one's claim.
    send_pointer(&queue, &bucket, "job").await;
    let duplicate = worker.until_logged("already done: deleted without a run", 1).await.remove(0);
    assert_eq!((&duplicate["job_id"], &duplicate["type"]), (&json!("from-s3"), &json!("sample.flaky")));
    worker.stop().await;
}

#[tokio::test]
async fn missing_and_damaged_objects_fail_permanently_with_pointers() {
    let bucket = create_bucket().await;
    put(&bucket, "binary", vec![0xff, 0xfe]).await;
    let table = [
        ("missing", "redrive", "does not exist: S3 answers 404 NoSuchKey"),
        ("missing", "dead-letter", "does not exist: S3 answers 404 NoSuchKey"),
        ("binary", "redrive", "is not UTF-8"),
    ];
    for (key, way, reason) in table {
        let queue = TestQueue::create("missing", Setup::default()).await;
        let app = App::always_ok().await;
        let launch = forwarding(&queue, &app, &bucket).env("DRUMLINE_PERMANENT_FAILURES", way);
        let worker = launch.spawn();
        send_pointer(&queue, &bucket, key).await;
        let logged = worker.until_logged("failed for good", 1).await.remove(0);
        assert_eq!(logged["class"], "undecodable");
        let said = logged["reason"].as_str().unwrap();
        assert!(said.starts_with(&format!("the payload s3://{bucket}/{key} {reason}")), "{said}");
        let dead = dead_pointer(&queue, &pointer(&bucket, key)).await;
        let copied = dead.message_attributes().unwrap().get("DrumlineReason");
        assert_eq!(copied.and_then(|copied| copied.string_value()), (way == "dead-letter").then_some(said));
        assert_eq!(app.count(), 0);
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_allowed_is_not_read() {
    let bucket = create_bucket().await;
    put(&bucket, "other/1", "text").await;
    let cases = [("", "this worker reads none from S3"), ("elsewhere", "is not among")].map(
        async |(buckets, says)| {
            let queue = TestQueue::create("denied", Setup::default()).await;
            let app = App::always_ok().await;
            let worker = forwarding(&queue, &app, buckets).spawn();
            send_pointer(&queue, &bucket, "other/1").await;
            let line = worker.until_logged("payload not read, trying again later", 1).await.remove(0);
            assert_eq!(line["class"], "payload_unavailable");
            assert_eq!((line.get("attempt"), &line["receive_count"]), (None, &json!(1)), "{line}");
            assert!(line["retry_in_secs"].as_f64() >= Some(60.0), "{line}");
            let reason = line["reason"].as_str().unwrap();
            assert!(reason.contains(says) && reason.contains("DRUMLINE_PAYLOAD_BUCKETS"), "{reason}");
            worker.stop().await;
            assert_eq!((app.count(), queue.dead_count().await), (0, 0));
            assert!(!queue.is_empty().await, "the message waits for a worker that may read its payload");
        },
    );
    let [first, second] = cases;
    tokio::join!(first, second);
}

#[tokio::test]
async fn an_outage_of_s3_is_waited_out() {
    let (queue, bucket) = (TestQueue::create("outage", Setup::default()).await, create_bucket().await);
    put(&bucket, "1", "text").await;
    let (app, proxy) = (App::always_ok().await, Proxy::start(&drumline_tests::localstack()).await);
    proxy.fail_always(EVERY_ACTION, Fault::Internal);
    let worker = forwarding(&queue, &app, &bucket)
        .env("AWS_ENDPOINT_URL_S3", &proxy.url())
        .env("DRUMLINE_MAX_ATTEMPTS", "1")
        .spawn();
    send_pointer(&queue, &bucket, "1").await;
    let logged = worker.until_logged("payload not read, trying again later", 1).await.remove(0);
    assert_eq!(logged["class"], "payload_unavailable");
    assert!(logged["reason"].as_str().unwrap().contains("S3 answers 500"), "{logged}");
    eventually("it is counted", async || worker.metric("drumline_failures_total{").await >= 1).await;
    proxy.heal(EVERY_ACTION);
    let is_done = async || app.count() == 1 && queue.is_empty().await;
    eventually_within(HIDDEN, "it is done", is_done).await;
    assert_eq!((&*app.calls()[0].body, queue.dead_count().await), ("text", 0));
    worker.stop().await;
}

#[tokio::test]
async fn a_payload_beyond_the_bound_fails_permanently() {
    let bucket = create_bucket().await;
    put(&bucket, "large", vec![b'x'; 1_500_000]).await;
    put(&bucket, "bomb", compress(ContentEncoding::Gzip, &"0".repeat(200_000_000))).await;
    for (key, encoding) in [("large", None), ("bomb", Some("gzip"))] {
        let queue = TestQueue::create("bound", Setup::default()).await;
        let app = App::always_ok().await;
        let worker = forwarding(&queue, &app, &bucket).env("DRUMLINE_MAX_PAYLOAD_SIZE", "1MiB").spawn();
        let mut attributes = vec![(MARKER, "Number", "9"), ("tenant", "String", "acme")];
        attributes.extend(encoding.map(|encoding| ("contentEncoding", "String", encoding)));
        queue.send_with(&pointer(&bucket, key), &attributes).await;
        let logged = worker.until_logged("failed for good", 1).await.remove(0);
        let reason = logged["reason"].as_str().unwrap();
        assert!(reason.contains("is larger than DRUMLINE_MAX_PAYLOAD_SIZE (1048576 bytes)"), "{reason}");
        dead_pointer(&queue, &pointer(&bucket, key)).await;
        assert_eq!(app.count(), 0);
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_lease_is_renewed_while_s3_takes_its_time() {
    let setup = Setup { visibility_secs: 2, ..Setup::default() };
    let queue = TestQueue::create("slow", setup).await;
    let slow = App::start(|_| async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        Answer::ok().body("text")
    })
    .await;
    let app = App::always_ok().await;
    let worker = forwarding(&queue, &app, "b").env("AWS_ENDPOINT_URL_S3", &slow.root()).spawn();
    send_pointer(&queue, "b", "k").await;
    eventually("it is done", async || app.count() == 1 && queue.is_empty().await).await;
    assert_eq!((app.calls()[0].receive_count, slow.count()), (1, 1), "it was received once");
    worker.stop().await;
}
