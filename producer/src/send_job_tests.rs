#![allow(clippy::unwrap_used)]
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::BehaviorVersion;
use drumline::message::limits::MAX_MESSAGE_BYTES;
use drumline::message::{AttributeValue, Envelope, Message};

use super::*;
use crate::producer::Producer;

const STANDARD: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs";
const FIFO: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders.fifo";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[derive(Serialize, serde::Deserialize)]
struct Greet {
    name: String,
}

impl Job for Greet {
    const TYPE: &'static str = "greet";
    const VERSION: u32 = 3;
}

/// A job with its own key, in a FIFO queue.
#[derive(Serialize, serde::Deserialize)]
struct Order {
    id: u64,
}

impl Job for Order {
    const TYPE: &'static str = "order";

    fn idempotency_key(&self) -> Option<String> {
        Some(format!("order:{}", self.id))
    }
}

fn producer() -> Producer {
    let config = aws_sdk_sqs::Config::builder().behavior_version(BehaviorVersion::latest());
    Producer::new(Client::from_conf(config.build()), STANDARD).queue_for("order", FIFO)
}

fn greet() -> SendJob {
    producer().send(&Greet { name: "Ada".to_owned() })
}

fn order() -> SendJob {
    producer().send(&Order { id: 7 }).group("g")
}

fn decoded(prepared: &Prepared) -> Envelope {
    let Outgoing { body, attributes, .. } = &prepared.outgoing;
    let attributes = Attributes::clone(attributes);
    Envelope::decode(&Message { body: body.clone(), attributes, ..Message::default() }).unwrap()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn what_sqs_or_a_worker_would_refuse_is_refused_by_name() {
    let long = "x".repeat(129);
    let many = (0..11).fold(greet(), |job, n| job.attribute(format!("a{n}"), "x"));
    let table = vec![
        (
            greet().delay(secs(901)),
            "delay",
            "at most 15 minutes, not by 901s: set DRUMLINE_OUTBOX_URL to postgres://… or redis://… (in code: Producer::outbox), or use \
             EventBridge Scheduler",
        ),
        (greet().delay(Duration::from_millis(1500)), "delay", "whole seconds"),
        (greet().delay(secs(600)).spread(secs(301)), "delay", "not by 901s"),
        (greet().spread(secs(1000)), "spread", "at most 15 minutes"),
        (greet().delay(Duration::MAX).spread(Duration::MAX), "delay", "at most 15 minutes"),
        (greet().spread(Duration::from_millis(500)), "spread", "whole seconds"),
        (
            order().delay(secs(1)),
            "delay",
            "orders.fifo is a FIFO queue, where SQS delays no single message: set DRUMLINE_OUTBOX_URL to postgres://… or redis://… (in \
             code: Producer::outbox), so that the job joins its group when it is due, or set DelaySeconds of the queue",
        ),
        (
            greet().at(SystemTime::now()),
            "at",
            "waits for its time in an outbox: set DRUMLINE_OUTBOX_URL to postgres://… or redis://… (in code: Producer::outbox), or use",
        ),
        (
            greet().unique(Unique::within(secs(1))),
            "unique",
            "holds its key in an outbox: set DRUMLINE_OUTBOX_URL",
        ),
        (order().spread(secs(1)), "spread", "FIFO"),
        (producer().send(&Order { id: 7 }), "group", "orders.fifo is a FIFO queue, which needs one"),
        (order().group(""), "group", "1 to 128 ASCII letters"),
        (greet().group(&*long), "group", "1 to 128"),
        (greet().group("Müller"), "group", "\"Müller\" is not of"),
        (greet().group("a b"), "group", "ASCII letters, digits and punctuation marks"),
        (
            greet().dedup("d"),
            "dedup",
            "jobs is a standard queue, which drops no second sending: use idempotency_key",
        ),
        (order().dedup(&*long), "dedup", "1 to 128"),
        (order().idempotency_key("mine"), "idempotency_key", "own code computes (order:7), and not mine"),
        (greet().idempotency_key("k".repeat(1025)), "idempotency_key", "1025 bytes are more than the 1024"),
        (greet().traceparent("00-1-2-01"), "traceparent", "is not a W3C traceparent"),
        (greet().attribute("a b", "x"), "attribute a b", "letters, digits, underscores"),
        (greet().attribute("AWS.x", "x"), "attribute AWS.x", "reserved by AWS"),
        (greet().attribute("a", ""), "attribute a", "no empty value"),
        (greet().attribute("a", "\u{1}"), "attribute a", "U+0001"),
        (
            greet().attribute("a", Attribute::new("Number", AttributeValue::Text("x".to_owned()))),
            "attribute a",
            "not a number",
        ),
        (
            greet().attribute("a", Attribute::new("String", AttributeValue::Binary(vec![1]))),
            "attribute a",
            "Binary for bytes",
        ),
        (
            greet().attribute("a", Attribute::new("Text", AttributeValue::Text("x".to_owned()))),
            "attribute a",
            "none of",
        ),
        (greet().attribute("a", Attribute::binary([])), "attribute a", "no empty value"),
        (greet().attribute("a", "x").attribute("a", "y"), "attributes", "given twice"),
        (many, "attributes", "11 attributes are more than SQS's 10"),
        (
            greet().attribute("messageType", "other"),
            "attribute messageType",
            "leave the attribute messageType out",
        ),
        (greet().attribute("traceparent", "00-1-2-01"), "attribute traceparent", "is not a W3C traceparent"),
        (greet().attribute("contentEncoding", "gzip"), "attribute contentEncoding", "leave it out"),
        (greet().attribute("tenant", "AKIAIOSFODNN7EXAMPLE"), "attribute tenant", "AWS access key"),
        (greet().correlation("AKIAIOSFODNN7EXAMPLE"), "correlationId", "AWS access key"),
        (greet().idempotency_key("AKIAIOSFODNN7EXAMPLE"), "idempotencyKey", "AWS access key"),
        (greet().group("AKIAIOSFODNN7EXAMPLE"), "group", "AWS access key"),
        (order().dedup("AKIAIOSFODNN7EXAMPLE"), "dedup", "AWS access key"),
        (
            producer().send(&Greet { name: "x".repeat(MAX_MESSAGE_BYTES) }),
            "payload.name",
            "more than SQS's 1,048,576",
        ),
        (
            producer().send(&Greet { name: "AKIAIOSFODNN7EXAMPLE".to_owned() }),
            "payload.name",
            "AWS access key",
        ),
    ];
    for (job, field, says) in table {
        match job.prepare() {
            Err(ProduceError::Refused(refusal)) => {
                assert_eq!(refusal.field, field, "{refusal}");
                assert!(refusal.reason.contains(says), "{says} in {refusal}");
                assert!(refusal.to_string().starts_with("a job "), "{refusal}");
            }
            other => panic!("{field}: {says}: {other:?}"),
        }
    }
}

#[test]
fn a_job_becomes_its_envelope() {
    let prepared = greet()
        .idempotency_key("k-1")
        .correlation("order-1")
        .group("tenant!")
        .delay(secs(60))
        .attribute("size", Attribute::new("Number", AttributeValue::Text("7".to_owned())))
        .prepare()
        .unwrap();
    let envelope = decoded(&prepared);
    assert_eq!(
        (&*envelope.job_type, envelope.version, envelope.payload.get()),
        ("greet", 3, r#"{"name":"Ada"}"#)
    );
    assert_eq!(envelope.job_id.as_deref(), Some(prepared.job_id()));
    assert_eq!(prepared.job_id().len(), 26);
    assert_eq!(envelope.idempotency_key.as_deref(), Some("k-1"));
    assert_eq!(envelope.correlation_id.as_deref(), Some("order-1"));
    let outgoing = &prepared.outgoing;
    assert_eq!((outgoing.group.as_deref(), outgoing.delay_secs), (Some("tenant!"), Some(60)));
    assert_eq!((outgoing.attributes["size"].data_type(), outgoing.attributes.len()), ("Number", 1));
    assert_eq!((prepared.queue.name(), prepared.queue.is_fifo()), ("jobs", false));
    assert_eq!((&outgoing.trace_header, &*outgoing.job_type), (&None, "greet"));
    let none = greet().prepare().unwrap();
    assert_ne!(none.job_id(), prepared.job_id());
    let envelope = decoded(&none);
    assert_eq!((envelope.idempotency_key, envelope.correlation_id), (None, None));
    assert!(!format!("{prepared:?}").contains("Ada"), "bodies are shown nowhere");
}

#[test]
fn a_fifo_job_has_its_own_key_and_is_deduplicated_by_its_id() {
    let prepared = order().prepare().unwrap();
    assert_eq!((prepared.queue.name(), prepared.queue.is_fifo()), ("orders.fifo", true));
    assert_eq!(prepared.outgoing.deduplication_id, prepared.job_id());
    assert_eq!(decoded(&prepared).idempotency_key.as_deref(), Some("order:7"));
    let given = order().dedup("d-1").idempotency_key("order:7").prepare().unwrap();
    assert_eq!(given.outgoing.deduplication_id, "d-1");
    assert_eq!(order().idempotency_key("").prepare().unwrap().outgoing.group.as_deref(), Some("g"));
}

#[test]
fn a_trace_goes_into_both_headers_while_there_is_room() {
    let xray = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1";
    let other = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00";
    let attributes = |count: usize| (0..count).fold(greet(), |job, n| job.attribute(format!("a{n}"), "x"));
    let table = [
        (greet().traceparent(TRACE), Some(TRACE)),
        (attributes(9).traceparent(TRACE), Some(TRACE)),
        (attributes(10).traceparent(TRACE), None),
        (greet().attribute("traceparent", TRACE), Some(TRACE)),
        (greet().attribute("traceparent", other).traceparent(TRACE), Some(other)),
    ];
    for (index, (job, attribute)) in table.into_iter().enumerate() {
        let outgoing = job.prepare().unwrap().outgoing;
        assert!(outgoing.bytes() <= MAX_MESSAGE_BYTES);
        assert_eq!(outgoing.attributes.get("traceparent").and_then(Attribute::as_text), attribute, "{index}");
        assert_eq!(outgoing.trace_header.as_deref(), Some(xray), "{index}: it takes no room");
    }
}

#[test]
fn a_full_message_keeps_its_bytes_for_itself() {
    let trace = Traceparent::parse(TRACE).unwrap();
    // "traceparent", "String", and 55 characters.
    let room = 11 + 6 + 55;
    for (body_bytes, is_added) in [(MAX_MESSAGE_BYTES - room, true), (MAX_MESSAGE_BYTES - room + 1, false)] {
        let mut outgoing = Outgoing { body: "x".repeat(body_bytes), ..Outgoing::default() };
        outgoing.carry(Some(trace.clone()));
        assert_eq!(outgoing.attributes.contains_key(TRACEPARENT), is_added, "{body_bytes}");
    }
}

#[test]
fn characters_that_sqs_does_not_take_are_escaped() {
    let name = "\u{0}\u{1f}\u{7f}\u{FFFE}é\u{FFFF}\u{1F600}\\\"";
    let prepared = producer().send(&Greet { name: name.to_owned() }).prepare().unwrap();
    let payload: Greet = serde_json::from_str(decoded(&prepared).payload.get()).unwrap();
    assert_eq!(payload.name, name);
}

#[test]
fn a_delay_may_be_spread() {
    let delays =
        (0..200).map(|_| greet().delay(secs(10)).spread(secs(3)).prepare().unwrap().outgoing.delay_secs);
    let delays: std::collections::BTreeSet<_> = delays.collect();
    assert_eq!(delays, (10..=13).map(Some).collect());
    assert_eq!(
        greet().delay(Duration::ZERO).prepare().unwrap().outgoing.delay_secs,
        Some(0),
        "not the queue's own"
    );
    assert_eq!(greet().prepare().unwrap().outgoing.delay_secs, None);
}
