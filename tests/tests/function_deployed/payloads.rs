//! A deployed function whose messages have their payload in LocalStack's S3.

use drumline_tests::{
    App, Deployment, Setup, TestQueue, can_deploy, create_bucket, eventually, objects, put,
};
use serde_json::json;

#[tokio::test]
async fn a_payload_in_s3_reaches_the_handler() {
    if !can_deploy() {
        return;
    }
    let (queue, bucket) = (TestQueue::create("payload", Setup::default()).await, create_bucket().await);
    let app = App::always_ok().await;
    let body = "x".repeat(2_000_000);
    put(&bucket, "in/1", body.clone()).await;
    let pointer = json!([
        "software.amazon.payloadoffloading.PayloadS3Pointer",
        { "s3BucketName": bucket, "s3Key": "in/1" }
    ]);
    queue.send_with(&pointer.to_string(), &[("ExtendedPayloadSize", "Number", "2000000")]).await;
    let allowed = format!("{bucket}/in/");
    let function = Deployment::forwarding_to(&app).env("DRUMLINE_PAYLOAD_BUCKETS", &allowed);
    let function = function.create("payload").await;
    function.feed_from(&queue, 10).await;
    eventually("it is done and deleted", async || app.count() == 1 && queue.is_empty().await).await;
    assert!(app.calls()[0].body == body);
    assert_eq!(objects(&bucket).await.len(), 1, "the object outlives its message");
}
