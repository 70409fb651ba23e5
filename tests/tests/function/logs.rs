//! The log: lines of JSON that name their invocation.

use drumline_tests::{FunctionLaunch, Invocation, LocalQueue, Record, Setup, eventually, sqs_event};
use serde_json::Value;

use crate::apps::{obedient, run, scene};

const RETRY: &str = "failed, trying again later";

/// Returns a field of an entry or of one of its spans.
pub(crate) fn field<'a>(entry: &'a Value, name: &str) -> &'a Value {
    let spans = entry["spans"].as_array().into_iter().flatten();
    let places = [entry, &entry["span"]].into_iter().chain(spans);
    places.map(|place| &place[name]).find(|value| !value.is_null()).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn log_entries_have_the_invocation_and_the_cold_start() {
    let (_app, _queue, function) = scene(Setup::default()).await;
    let mut request_ids = Vec::new();
    for _ in 0..3 {
        request_ids.push(run(&function, &[Record::hand_made("425 a")]).await.request_id.clone());
    }
    let entries = function.logged(RETRY);
    assert_eq!(entries.len(), 3);
    for (n, (entry, request_id)) in entries.iter().zip(request_ids).enumerate() {
        assert_eq!(field(entry, "request_id"), &*request_id, "{entry}");
        assert_eq!(field(entry, "cold_start"), n == 0, "{entry}");
        assert_eq!(field(entry, "level"), "WARN");
        assert!(field(entry, "message_id").is_string(), "{entry}");
    }
}

#[tokio::test]
async fn every_line_is_json_whatever_happens() {
    let (_app, queue, function) = scene(Setup::default()).await;
    let batch = queue.batch(&["200 a", "503 b", "422 c\u{1F980}"]).await;
    run(&function, &batch).await;
    run(&function, &[Record::hand_made("503 d").without("messageId")]).await;
    function.invoke(Invocation::new("{}")).await;
    function.invoke(Invocation::new("not JSON")).await;
    let lines = function.stderr();
    assert!(!lines.is_empty());
    for line in lines {
        let entry: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for name in ["timestamp", "level", "message"] {
            assert!(entry[name].is_string(), "{name} in {line}");
        }
    }
}

#[tokio::test]
async fn an_error_of_an_invocation_is_in_the_log_with_its_request_id() {
    let (_app, _queue, function) = scene(Setup::default()).await;
    let answered = function.invoke(Invocation::new("{}")).await;
    let message = answered.expect_error("NotAnSqsEvent");
    eventually("it is logged", async || !function.logged(&message).is_empty()).await;
    let entry = function.logged(&message).remove(0);
    assert_eq!(entry["level"], "ERROR");
    assert_eq!(field(&entry, "request_id"), &*answered.request_id);
    assert_eq!(field(&entry, "cold_start"), true);
}

#[tokio::test]
async fn traces_lead_from_the_sender_to_the_application() {
    let queue = LocalQueue::create(Setup::default()).await;
    let app = obedient().await;
    let function = FunctionLaunch::forwarding(&app, &queue).spawn().await;
    let root = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let batch = [Record::hand_made("503 a").attribute("AWSTraceHeader", root)];
    let answered = function.invoke(Invocation::new(sqs_event(&batch))).await;
    answered.expect_failed(&[batch[0].id()]);
    let traceparent = app.calls()[0].header("traceparent").unwrap().to_owned();
    assert!(traceparent.starts_with("00-5759e988bd862e3fe1be46a994272793-"), "{traceparent}");
    let entry = function.logged(RETRY).remove(0);
    let invocation = field(&entry, "xray_trace_id").as_str().unwrap_or_default().to_owned();
    assert!(invocation.starts_with("Root=1-"), "the invocation's own trace: {entry}");
}
