//! Tests the lean client against the SDK's.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use drumline::core::{Action, DeliveryId, Entry, SqsErrorKind, VisibilityEntry};
use drumline::run::{Event, Observer};
use drumline_sqs::{BatchAnswer, SendEntry};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::client::Clients;
use super::super::lean::{SqsClientChoice, SqsClientSwitch};
use super::super::oracle::{Answer, Both, Server};
use crate::sqs::{Queue as _, SqsError};

fn receipts() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[ -~\u{e9}\u{1f600}\"\\\\\n]{0,80}", 1..=10)
}

/// Makes a JSON text with any characters, some of them as escapes, including surrogate pairs.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>().prop_map(String::from).boxed(), 0..20)
        .prop_map(|texts| texts.concat())
}

fn escaped(text: &str, escapes: bool) -> String {
    if !escapes {
        return serde_json::to_string(text).unwrap();
    }
    let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{}\"", units.concat())
}

/// Makes a message in the usual form, which the lean client decodes in another way, or with all that a message may have.
fn message(is_usual: bool) -> impl Strategy<Value = String> {
    let attribute =
        (text(), prop_oneof![Just("String"), Just("Number.int"), Just("String.Json")], any::<bool>());
    let binary = proptest::collection::vec(any::<u8>(), 0..20);
    let attributes = proptest::collection::btree_map("[a-zA-Z_.-]{1,12}", attribute, 0..4);
    let system = proptest::option::of(("[0-9]{0,12}", "[0-9]{0,14}", text(), "[ -~]{0,20}"));
    (text(), any::<bool>(), attributes, binary, system, any::<bool>()).prop_map(
        move |(body, escapes, attributes, binary, system, has_all)| {
            let mut fields = Vec::new();
            if has_all {
                fields.push(r#""MessageId":"5c0ffee0-0000-4000-8000-000000000002","MD5OfBody":"0""#.to_owned());
                if !is_usual {
                    fields.push(r#""Later":{"a":[1,null,{"b":"c\u0041"}]}"#.to_owned());
                }
                fields.push(r#""ReceiptHandle":"AQEB\/wJn+3=="#.to_owned() + "\"");
            }
            fields.push(format!("\"Body\":{}", escaped(&body, escapes)));
            let mut named: Vec<String> = attributes
                .iter()
                .map(|(name, (value, data_type, escapes))| {
                    format!(
                        r#""{name}":{{"StringValue":{},"DataType":"{data_type}"}}"#,
                        escaped(value, *escapes)
                    )
                })
                .collect();
            if !is_usual {
                named.push(format!(
                    r#""~bytes":{{"DataType":"Binary.x","BinaryValue":"{}"}}"#,
                    base64::engine::general_purpose::STANDARD.encode(&binary)
                ));
            }
            if !named.is_empty() {
                fields.push(format!("\"MessageAttributes\":{{{}}}", named.join(",")));
            }
            if let Some((count, sent, group, sender)) = system {
                let mut system = json!({
                    "ApproximateReceiveCount": count, "SentTimestamp": sent, "MessageGroupId": group, "SenderId": sender,
                    "AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793",
                });
                if !is_usual {
                    system["Unknown"] = "x".into();
                }
                fields.push(format!("\"Attributes\":{system}"));
            }
            format!("{{{}}}", fields.join(","))
        },
    )
}

fn messages() -> impl Strategy<Value = Vec<String>> {
    any::<bool>().prop_flat_map(|is_usual| proptest::collection::vec(message(is_usual), 0..=10))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn received_messages_are_those_of_the_sdk(answers in proptest::collection::vec(messages(), 1..6)) {
        run(async {
            let both = Both::start().await;
            for messages in answers {
                let count = messages.len();
                both.server.answers(Answer::ok(format!("{{\"Messages\":[{}]}}", messages.join(","))));
                assert_eq!(both.receive().await.unwrap().len(), count);
            }
        });
    }

    #[test]
    fn deletes_and_changes_of_visibility_are_those_of_the_sdk(receipts in receipts(), secs in 0_u32..43_200, failing in 0_usize..10) {
        run(async {
            let both = Both::start().await;
            let ids = 0..receipts.len();
            let successful: Vec<Value> = ids.clone().filter(|id| *id != failing).map(|id| json!({ "Id": id.to_string() })).collect();
            let failed: Vec<Value> = ids
                .filter(|id| *id == failing)
                .map(|id| json!({ "Id": id.to_string(), "Code": "ReceiptHandleIsInvalid", "SenderFault": true, "Message": "é" }))
                .collect();
            both.server.answers(Answer::ok(json!({ "Successful": successful, "Failed": failed }).to_string()));
            let delivery = DeliveryId::default();
            let entries = receipts.iter().map(|receipt| Entry { delivery, receipt: receipt.clone() }).collect();
            let replies = both.perform(Action::Delete(entries)).await;
            assert_eq!(replies.iter().filter(|reply| reply.is_err()).count(), usize::from(failing < receipts.len()));
            let entries = receipts.iter();
            let entries = entries.map(|receipt| VisibilityEntry { delivery, receipt: receipt.clone(), visibility_secs: secs });
            both.perform(Action::ChangeVisibility(entries.collect())).await;
        });
    }
}

#[tokio::test]
async fn errors_are_those_of_the_sdk() {
    let body = |code: &str| json!({ "__type": code, "message": "why" }).to_string().into_bytes();
    let query = |code: &str| vec![("x-amzn-query-error", format!("{code};Sender"))];
    let plain = |status, code: &str| Answer { status, headers: Vec::new(), body: body(code) };
    let table = [
        (plain(400, "com.amazonaws.sqs#QueueDoesNotExist"), SqsErrorKind::NoQueue),
        (
            Answer {
                headers: query("AWS.SimpleQueueService.NonExistentQueue"),
                ..plain(400, "com.amazonaws.sqs#QueueDoesNotExist")
            },
            SqsErrorKind::NoQueue,
        ),
        (plain(403, "AccessDeniedException"), SqsErrorKind::Denied),
        (
            Answer {
                headers: query("AccessDenied"),
                ..plain(403, "com.amazon.coral.service#AccessDeniedException")
            },
            SqsErrorKind::Denied,
        ),
        (plain(400, "ThrottlingException"), SqsErrorKind::Throttled),
        (plain(400, "com.amazonaws.sqs#RequestThrottled"), SqsErrorKind::Throttled),
        (plain(403, "InvalidClientTokenId"), SqsErrorKind::InvalidCredentials),
        (
            Answer {
                headers: vec![("x-amz-retry-after", "1500".to_owned())],
                ..plain(503, "ServiceUnavailable")
            },
            SqsErrorKind::Unreachable,
        ),
        (Answer { status: 500, headers: Vec::new(), body: b"<html>".to_vec() }, SqsErrorKind::Unreachable),
        (Answer { status: 404, headers: Vec::new(), body: Vec::new() }, SqsErrorKind::Other),
    ];
    for (answer, kind) in table {
        let both = Both::start().await;
        both.server.answers(answer.clone());
        let (lean, sdk) = (both.lean.receive(10).await.unwrap_err(), both.sdk.receive(10).await.unwrap_err());
        let of_error = |error: &SqsError| (error.kind, error.retry_after, error.is_in_doubt);
        assert_eq!(of_error(&lean), of_error(&sdk), "{answer:?}: {lean:?}, {sdk:?}");
        assert_eq!(lean.kind, kind, "{lean:?}");
    }
}

/// The forms of an error in AWS's protocol tests and in botocore's: the code in the body or a header, with a namespace and an
/// address.
#[tokio::test]
async fn codes_and_messages_of_errors_are_read_as_the_sdk_reads_them() {
    let both = Both::start().await;
    let bodies = [
        r#"{"__type":"FooError","message":"why"}"#,
        r#"{"__type":"FooError:http://internal.amazon.com/coral/com.amazon.coral.validate/"}"#,
        r#"{"__type":"aws.protocoltests.json10#FooError","Message":"why"}"#,
        r#"{"__type":"aws.protocoltests.json10#FooError:http://internal.amazon.com/#part","errorMessage":"why"}"#,
        r#"{"code":"FooError","message":null}"#,
        r#"{"code":"FooError:http://internal.amazon.com/","__type":"BarError","more":{"code":"x"}}"#,
        r#"{"code":"aws.protocoltests.json10#FooError","__type":7,"message":"\u00e9"}"#,
        r#"{"message":"why"}"#,
        "{}",
    ];
    let headers: [&[(&str, &str)]; 6] = [
        &[],
        &[("x-amzn-errortype", "HeaderError")],
        &[("x-amzn-errortype", "aws.protocoltests.json10#HeaderError:http://internal.amazon.com/")],
        &[("x-amzn-query-error", "AWS.SimpleQueueService.BatchRequestTooLong;Sender")],
        &[("x-amzn-query-error", "WithoutAType")],
        &[("x-amzn-query-error", "QueryError;Sender"), ("x-amzn-errortype", "HeaderError")],
    ];
    let mut different = Vec::new();
    for (body, headers) in bodies.iter().flat_map(|body| headers.map(|headers| (body, headers))) {
        let sent = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        both.server.answers(Answer { status: 400, headers: sent, body: (*body).into() });
        let (lean, sdk) = (both.lean.receive(10).await.unwrap_err(), both.sdk.receive(10).await.unwrap_err());
        assert_eq!(lean.kind, sdk.kind, "{body} {headers:?}");
        // For an error without a code, the SDK also drops the message.
        if lean.text != sdk.text && !sdk.text.contains("an error without a code") {
            different.push((body, headers, lean.text, sdk.text));
        }
    }
    assert!(different.is_empty(), "{different:#?}");
}

#[tokio::test]
async fn a_receive_of_ten_mebibytes_is_that_of_the_sdk() {
    let both = Both::start().await;
    let body = "\u{e9}\"\n".repeat(256 * 1024);
    let messages: Vec<Value> = (0..10).map(|n| json!({ "MessageId": n.to_string(), "Body": body })).collect();
    both.server.answers(Answer::ok(json!({ "Messages": messages }).to_string()));
    let received = both.receive().await.unwrap();
    assert!(received.len() == 10 && received.iter().all(|message| message.body == body));
}

#[tokio::test]
async fn one_undecodable_message_costs_no_other_one() {
    let both = Both::start().await;
    let answer = r#"{"Messages":[{"MessageId":"1","Body":"a"},{"MessageId":"2","Body":7},{"MessageId":"3","Body":"c"}]}"#;
    both.server.answers(Answer::ok(answer));
    let ids: Vec<String> =
        both.lean.receive(10).await.unwrap().into_iter().map(|message| message.id.to_string()).collect();
    assert_eq!(ids, ["1", "3"]);
    assert!(both.sdk.receive(10).await.is_err(), "the SDK loses all three until they are visible again");
}

/// Counts the SDK client's takeovers.
#[derive(Default)]
struct Takeovers(Mutex<usize>);

impl Observer for Takeovers {
    fn observe(&self, event: &Event<'_>) {
        if matches!(event, Event::SqsClientReplaced) {
            *self.0.lock().unwrap() += 1;
        }
    }
}

/// Returns a switch, and the count of its takeovers.
fn auto() -> (SqsClientSwitch, Arc<Takeovers>) {
    let takeovers = Arc::new(Takeovers::default());
    (SqsClientSwitch::new(SqsClientChoice::Auto).observed_by(Arc::clone(&takeovers) as _), takeovers)
}

#[tokio::test]
async fn what_both_clients_fail_at_replaces_no_client() {
    let server = Server::start().await;
    let (switch, takeovers) = auto();
    let queue = server.queue_by(&switch).await;
    let refused = json!({ "__type": "SignatureDoesNotMatch", "message": "why" }).to_string();
    for answer in [
        Answer { status: 403, headers: Vec::new(), body: refused.into() },
        Answer::ok("<html>a portal that wants a password</html>"),
    ] {
        server.answers(answer);
        assert!(queue.receive(10).await.is_err());
        assert_eq!(server.take().len(), 2, "one by each client");
    }
    server.answers(Answer::ok("{}"));
    assert_eq!(queue.receive(10).await, Ok(Vec::new()));
    assert_eq!((server.take().len(), *takeovers.0.lock().unwrap()), (1, 0));
}

fn refused_signature() -> Answer {
    let body = json!({ "__type": "InvalidSignatureException", "message": "why" }).to_string();
    Answer { status: 403, headers: Vec::new(), body: body.into() }
}

#[tokio::test]
async fn a_fault_of_the_lean_client_alone_replaces_it_once() {
    for fault in [refused_signature(), Answer::ok("<html>")] {
        let server = Server::start().await;
        let (switch, takeovers) = auto();
        let queue = server.queue_by(&switch).await;
        *server.to_lean.lock().unwrap() = Some(fault);
        for requests in [2, 1] {
            assert_eq!(queue.receive(10).await, Ok(Vec::new()));
            assert_eq!((server.take().len(), *takeovers.0.lock().unwrap()), (requests, 1));
        }
    }
}

/// Sends a message with the lean client, or with the SDK's if the returned value is true.
async fn send(clients: &Clients) -> (Result<BatchAnswer, SqsError>, bool) {
    let by_sdk = Mutex::new(false);
    let entry = SendEntry {
        body: "b",
        attributes: &BTreeMap::new(),
        delay_secs: None,
        group: None,
        deduplication_id: None,
        trace_header: None,
    };
    let send_by_sdk = async {
        *by_sdk.lock().unwrap() = true;
        Ok(BatchAnswer::default())
    };
    let result = clients.send_batch("http://sqs/1/jobs", &[entry], send_by_sdk).await;
    (result, by_sdk.into_inner().unwrap())
}

#[tokio::test]
async fn a_batch_that_sqs_may_have_taken_is_not_sent_once_more() {
    let server = Server::start().await;
    let (switch, takeovers) = auto();
    let auto = server.clients().await.by(&switch);
    server.answers(Answer::ok(r#"{"Successful":[{"Id":"0","MessageId":"m"}]}"#));
    let (sent, by_sdk) = send(&auto).await;
    assert_eq!((sent.unwrap().successful[0].message_id.as_deref(), by_sdk), (Some("m"), false));

    server.answers(Answer::ok("<html>"));
    let (lost, by_sdk) = send(&auto).await;
    let lost = lost.unwrap_err();
    assert!(lost.is_in_doubt && lost.kind.passes() && !by_sdk, "{lost:?}");
    let (sent, by_sdk) = send(&auto).await;
    assert!(sent.is_ok() && by_sdk, "the SDK's client has taken over");
    assert_eq!(*takeovers.0.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_batch_with_a_refused_signature_is_sent_by_the_sdk() {
    let server = Server::start().await;
    server.answers(refused_signature());
    for (choice, expected) in [(SqsClientChoice::Auto, true), (SqsClientChoice::Lean, false)] {
        let takeovers = Arc::new(Takeovers::default());
        let switch = SqsClientSwitch::new(choice).observed_by(Arc::clone(&takeovers) as _);
        let clients = server.clients().await.by(&switch);
        let (sent, by_sdk) = send(&clients).await;
        assert_eq!((sent.is_ok(), by_sdk, clients.lean().is_some()), (expected, expected, !expected));
        assert_eq!(*takeovers.0.lock().unwrap(), usize::from(expected));
    }
}
