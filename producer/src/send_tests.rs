#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use drumline_runtime::aws::{SqsClientChoice, SqsClientSwitch, connect_at};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_is_in_doubt_after_a_minute() {
    let begun = tokio::time::Instant::now();
    let error = in_time(std::future::pending::<Result<(), SqsError>>()).await.unwrap_err();
    assert!(error.is_in_doubt && error.kind.passes(), "{error}");
    assert_eq!(begun.elapsed(), PATIENCE);
    assert_eq!(in_time(async { Ok(1) }).await.unwrap(), 1);
}

/// A request: the headers that SQS reads, and the body.
type Recorded = (Vec<Option<String>>, Value);

/// An SQS that records requests, and answers as a test says.
#[derive(Clone, Default)]
struct Server {
    answer: Arc<Mutex<(u16, String)>>,
    recorded: Arc<Mutex<Vec<Recorded>>>,
}

impl Server {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let routes = axum::Router::new().fallback(Self::handle).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        address
    }

    #[allow(clippy::unused_async, reason = "axum takes async functions")]
    async fn handle(State(server): State<Self>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let mut body: Value = serde_json::from_slice(&body).unwrap();
        for entry in body["Entries"].as_array_mut().unwrap() {
            // The SDK names no attributes by an empty map.
            let entry = entry.as_object_mut().unwrap();
            if entry.get("MessageAttributes") == Some(&json!({})) {
                entry.remove("MessageAttributes");
            }
        }
        let headers = ["host", "content-type", "x-amz-target", "x-amzn-query-mode"].map(text).to_vec();
        server.recorded.lock().unwrap().push((headers, body));
        let (status, answer) = server.answer.lock().unwrap().clone();
        (StatusCode::from_u16(status).unwrap(), answer)
    }
}

/// Sends a batch by both clients, and returns what both have in common: the request, and a text of the answer.
async fn send_by_both(batch: &[Outgoing], fifo: bool, status: u16, answer: String) -> (Value, String) {
    let server = Server::default();
    let address = server.start().await;
    *server.answer.lock().unwrap() = (status, answer);
    let queue_url: Url = format!("{address}/000000000000/jobs").parse().unwrap();
    let clients = connect_at(&address, &queue_url, Duration::ZERO).await.unwrap();
    let options = SendOptions { fifo, ..SendOptions::default() };
    let mut answers = Vec::new();
    for choice in [SqsClientChoice::Lean, SqsClientChoice::Sdk] {
        let clients = clients.clone().by(&SqsClientSwitch::new(choice));
        let reply = try_once(SentBy::Chosen(&clients), queue_url.as_str(), &options, batch).await;
        answers.push(match reply {
            Ok(results) => format!("{results:?}"),
            Err(error) => format!("{:?} {:?} {}", error.kind, error.retry_after, error.is_in_doubt),
        });
    }
    assert_eq!(answers[0], answers[1]);
    let mut recorded = std::mem::take(&mut *server.recorded.lock().unwrap());
    assert_eq!(recorded.len(), 2);
    assert_eq!(recorded[0], recorded[1]);
    (recorded.remove(0).1, answers.remove(0))
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..20).prop_map(|characters| characters.into_iter().collect())
}

fn attribute_of_any_type() -> impl Strategy<Value = Attribute> {
    let text_types = prop_oneof![Just("String"), Just("Number"), Just("String.Json")];
    prop_oneof![
        (text_types, text())
            .prop_map(|(data_type, text)| Attribute::new(data_type, AttributeValue::Text(text))),
        proptest::collection::vec(any::<u8>(), 0..30).prop_map(Attribute::binary),
    ]
}

fn message() -> impl Strategy<Value = Outgoing> {
    let attributes = proptest::collection::btree_map("[a-zA-Z0-9_.-]{1,12}", attribute_of_any_type(), 0..4);
    let delay = proptest::option::of(0_u16..=900);
    let (group, trace) = (proptest::option::of("[!-~]{1,20}"), proptest::option::of("[ -~]{1,80}"));
    (text(), attributes, "[!-~]{1,40}", group, delay, trace).prop_map(
        |(body, attributes, deduplication_id, group, delay_secs, trace_header)| Outgoing {
            body,
            attributes: Arc::new(attributes),
            deduplication_id,
            group: group.map(Into::into),
            delay_secs,
            trace_header,
            ..Outgoing::default()
        },
    )
}

/// An answer that mentions these messages: sent, refused, failed, or neither.
fn answer(ends: &[u8]) -> String {
    let mut lists: BTreeMap<&str, Vec<Value>> = [("Successful", vec![]), ("Failed", vec![])].into();
    for (index, end) in ends.iter().enumerate() {
        let id = index.to_string();
        let (list, entry) = match end {
            0 => ("Successful", json!({ "Id": id, "MessageId": "m", "MD5OfMessageBody": "x" })),
            1 => (
                "Successful",
                json!({ "Id": id, "MessageId": "é", "MD5OfMessageBody": "x", "SequenceNumber": "18" }),
            ),
            2 => (
                "Failed",
                json!({ "Id": id, "Code": "InvalidMessageContents", "SenderFault": true, "Message": "\u{1}" }),
            ),
            3 => ("Failed", json!({ "Id": id, "Code": "InternalError", "SenderFault": false })),
            _ => continue,
        };
        lists.get_mut(list).unwrap().push(entry);
    }
    json!(lists).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn batches_are_those_of_the_sdk(
        batch in proptest::collection::vec(message(), 1..=10),
        ends in proptest::collection::vec(0_u8..5, 10),
        fifo in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = answer(&ends[..batch.len()]);
        let (request, _) = runtime.block_on(send_by_both(&batch, fifo, 200, answer));
        let entries = request["Entries"].as_array().unwrap();
        prop_assert_eq!(entries.len(), batch.len());
        for (entry, message) in entries.iter().zip(&batch) {
            prop_assert_eq!(entry["MessageBody"].as_str().unwrap(), &message.body);
            prop_assert_eq!(entry.get("MessageDeduplicationId").is_some(), fifo);
        }
    }
}

#[tokio::test]
async fn refusals_of_a_batch_are_those_of_the_sdk() {
    let batch = [Outgoing { body: "b".to_owned(), ..Outgoing::default() }];
    for (status, code) in [
        (400, "com.amazonaws.sqs#QueueDoesNotExist"),
        (400, "com.amazonaws.sqs#BatchRequestTooLong"),
        (400, "com.amazonaws.sqs#RequestThrottled"),
        (403, "AccessDeniedException"),
        (500, "InternalFailure"),
        (503, "ServiceUnavailable"),
    ] {
        let answer = json!({ "__type": code, "message": "why" }).to_string();
        let (_, answer) = send_by_both(&batch, false, status, answer).await;
        assert!(!answer.starts_with('['), "{code}: {answer}");
    }
}
