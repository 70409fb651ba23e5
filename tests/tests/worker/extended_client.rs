//! The public SQS Extended Client for Python, as a real program: it reads the producer's messages in S3, and the worker reads
//! its messages.

use std::path::Path;
use std::process::Stdio;

use drumline::Job;
use drumline::message::ContentEncoding;
use drumline_producer::{PayloadStore, Producer};
use drumline_runtime::aws::connect;
use drumline_runtime::payload::{PayloadPlace, PayloadSettings};
use drumline_tests::{
    App, Launch, REGION, Setup, TestQueue, create_bucket, eventually, localstack, objects, shared_store,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

#[derive(Serialize, Deserialize)]
struct Report {
    text: String,
}

impl Job for Report {
    const TYPE: &'static str = "report.make";
}

/// Runs `client.py` with these arguments and this input. `None` on a machine without a suitable Python.
async fn python(args: &[&str], input: &str) -> Option<String> {
    let interpreter = shared_store("DRUMLINE_TEST_PYTHON")?;
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worker/extended_client/client.py");
    let mut child = Command::new(interpreter)
        .arg(program)
        .args(args)
        .env("AWS_ENDPOINT_URL", localstack())
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Returns a producer that puts bodies above 1 kB into this bucket.
async fn producer(queue: &TestQueue, bucket: &str, compression: Option<ContentEncoding>) -> Producer {
    let clients = connect(&queue.url.parse().unwrap(), std::time::Duration::ZERO).await.unwrap();
    let bucket = Some(PayloadPlace::parse(&format!("{bucket}/out/")).unwrap());
    let settings = PayloadSettings { bucket, threshold: 1_000, compression, ..PayloadSettings::default() };
    let store = PayloadStore::new(&settings, &clients.config).unwrap();
    Producer::new(queue.client.clone(), &queue.url).payload_store(store)
}

#[tokio::test]
async fn the_public_client_reads_what_the_producer_sends() {
    let (queue, bucket) = (TestQueue::create("ours", Setup::default()).await, create_bucket().await);
    let text = "ü\u{1F600} ".repeat(400_000);
    let job = Report { text: text.clone() };
    let receipt = producer(&queue, &bucket, None).await.send(&job).attribute("tenant", "acme").await.unwrap();
    let Some(received) = python(&["receive", &queue.url, &bucket], "").await else { return };
    let received: Value = serde_json::from_str(received.trim()).unwrap();
    let body: Value = serde_json::from_str(received["body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["jobId"], &body["type"]), (&receipt.job_id.as_str().into(), &"report.make".into()));
    assert!(body["payload"]["text"] == text);
    assert_eq!(received["attributes"], serde_json::json!(["tenant"]), "the marker is hidden");
    assert!(queue.is_empty().await, "it could delete the message");
    assert_eq!(objects(&bucket).await.len(), 1);
}

#[tokio::test]
async fn a_worker_reads_what_the_public_client_and_the_producer_send() {
    let (queue, bucket) = (TestQueue::create("theirs", Setup::default()).await, create_bucket().await);
    let body = format!("{{\"text\": \"{}\"}}", "ü".repeat(300_000));
    let arguments = ["send", &queue.url, &bucket];
    if python(&arguments, &body).await.is_none() {
        return;
    }
    python(&[&arguments[..], &["legacy"]].concat(), &body).await;
    // Above the threshold and small enough when compressed; and one that no compression makes small enough.
    let repeated = Report { text: "again ".repeat(100_000) };
    let random = Report { text: (0..5_000).map(|_| fastrand::alphanumeric()).collect() };
    for encoding in ContentEncoding::ALL {
        let producer = producer(&queue, &bucket, Some(encoding)).await;
        producer.send_all([producer.send(&repeated), producer.send(&random)]).await.unwrap();
    }
    let app = App::always_ok().await;
    let worker = Launch::run(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_PAYLOAD_BUCKETS", &bucket)
        .spawn();
    eventually("all are done", async || app.count() == 6 && queue.is_empty().await).await;
    let calls = app.calls();
    let of_client: Vec<_> = calls.iter().filter(|call| call.body == body).collect();
    assert_eq!(of_client.len(), 2);
    assert!(of_client.iter().all(|call| call.header("x-aws-sqsd-attr-tenant") == Some("acme")));
    for report in [&repeated, &random] {
        let is_it = |body: &str| {
            serde_json::from_str::<Value>(body).is_ok_and(|body| body["payload"]["text"] == report.text)
        };
        assert_eq!(calls.iter().filter(|call| is_it(&call.body)).count(), 2);
    }
    let hidden = ["extendedpayloadsize", "sqslargepayloadsize", "contentencoding"];
    assert!(
        calls.iter().all(|call| hidden
            .iter()
            .all(|name| { call.header(&format!("x-aws-sqsd-attr-{name}")).is_none() }))
    );
    worker.stop().await;
}
