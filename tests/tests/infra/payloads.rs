//! The template of a bucket for payloads: a producer and a worker use its resources.

use drumline_tests::{App, Launch, Setup, Stack, TestQueue, bucket_setting, eventually, objects};

#[tokio::test]
async fn its_bucket_takes_payloads() {
    let stack = Stack::deploy("payload-bucket.yaml", &[("RetentionDays", "30")]).await;
    let bucket = stack.output("PayloadBucketName");
    // Rule B01 checks its lifecycle: LocalStack creates none through CloudFormation.
    let policy = bucket_setting(bucket, "policy").await;
    assert!(policy.contains("aws:SecureTransport"), "{policy}");

    let queue = TestQueue::create("payloads", Setup::default()).await;
    let app = App::always_ok().await;
    let worker = Launch::run(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_PAYLOAD_BUCKETS", &format!("{bucket}/"))
        .spawn();
    drumline_tests::put(bucket, "1", "from the bucket").await;
    let pointer = format!(
        r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{{"s3BucketName":"{bucket}","s3Key":"1"}}]"#
    );
    queue.send_with(&pointer, &[("ExtendedPayloadSize", "Number", "15")]).await;
    eventually("it is done", async || app.count() == 1 && queue.is_empty().await).await;
    assert_eq!((&*app.calls()[0].body, objects(bucket).await.len()), ("from the bucket", 1));
    worker.stop().await;
}
