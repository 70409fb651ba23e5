//! Payloads in S3 and compressed payloads in a function.

use drumline::message::ContentEncoding;
use drumline_runtime::payload::compress;
use drumline_tests::{Answer, App, FunctionLaunch, LocalQueue, Record, Setup};
use serde_json::json;

use crate::apps::{bodies, run};

const POINTER: &str =
    r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"payloads","s3Key":"KEY"}]"#;

fn record(body: &str, name: &str, data_type: &str, value: &str) -> Record {
    let attribute = json!({ "stringValue": value, "dataType": data_type });
    Record::hand_made(body).with("messageAttributes", json!({ name: attribute }))
}

fn in_s3(key: &str) -> Record {
    record(&POINTER.replace("KEY", key), "ExtendedPayloadSize", "Number", "300000")
}

/// Starts an S3 with one object, and one that it cannot find while it has a failure.
async fn s3() -> App {
    App::start(|call| async move {
        match &*call.line {
            "GET /payloads/whole" => Answer::ok().body("from S3"),
            "GET /payloads/outage" => Answer::status(503),
            _ => Answer::status(404).body("<Error><Code>NoSuchKey</Code></Error>"),
        }
    })
    .await
}

#[tokio::test]
async fn what_can_be_opened_is_done_and_what_cannot_is_listed() {
    let (app, s3) = (App::always_ok().await, s3().await);
    let queue = LocalQueue::create(Setup::default()).await;
    let launch = FunctionLaunch::forwarding(&app, &queue).env("AWS_ENDPOINT_URL_S3", &s3.root());
    let function = launch.env("DRUMLINE_PAYLOAD_BUCKETS", "payloads").spawn().await;
    let compressed = compress(ContentEncoding::Gzip, "compressed");
    let batch = [
        in_s3("whole"),
        in_s3("missing"),
        in_s3("outage"),
        record(&compressed, "contentEncoding", "String", "gzip"),
        Record::hand_made("plain"),
    ];
    let answered = run(&function, &batch).await;
    answered.expect_failed(&[batch[1].id(), batch[2].id()]);
    let mut received = bodies(&app);
    received.sort();
    assert_eq!(received, ["compressed", "from S3", "plain"]);
    assert!(app.calls().iter().all(|call| call.header("x-aws-sqsd-attr-extendedpayloadsize").is_none()));
    assert_eq!(function.logged("failed for good").len(), 1, "the missing one");
    assert_eq!(function.logged("payload not read, trying again later").len(), 1, "the outage");
}
