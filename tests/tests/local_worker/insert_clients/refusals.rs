//! Jobs that a client refuses before it sends any: SQS or the worker would refuse them later.
#![allow(clippy::needless_pass_by_value, reason = "values are written where they are passed")]

use serde_json::{Value, json};

use super::language::{Language, Programs};
use super::{SEND, Setting};

fn with(name: &str, value: Value) -> Value {
    let mut entry = json!({ "job": { "type": "note", "payload": 1 } });
    entry[name] = value;
    entry
}

fn payload(payload: Value) -> Value {
    json!({ "job": { "type": "note", "payload": payload } })
}

fn order(payload: Value) -> Value {
    json!({ "job": { "type": "order.place", "payload": payload } })
}

fn attributes(attributes: Value) -> Value {
    with("attributes", attributes)
}

/// Entries with the pointer, the kind and the text of their problem.
#[allow(clippy::too_many_lines, reason = "one table")]
fn on_a_standard_queue() -> Vec<(Value, &'static str, &'static str, &'static str)> {
    let many: Value =
        (0..11).map(|number| (format!("a{number}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    let valid = json!({ "orderId": 7, "customer": "c-7", "lines": [{ "sku": "drum", "count": 1 }] });
    let and = |name: &str, value: Value| {
        let mut payload = valid.clone();
        payload[name] = value;
        order(payload)
    };
    vec![
        (
            payload(json!({ "n": { "$float": "nan" } })),
            "/n",
            "json",
            "payload.n is not a finite number, and JSON has no others",
        ),
        (
            payload(json!([{ "$float": "-inf" }])),
            "/0",
            "json",
            "payload[0] is not a finite number, and JSON has no others",
        ),
        (
            payload(json!({ "$halves": "d83e" })),
            "",
            "character",
            "payload has the character U+D83E, which SQS does not take: leave it out",
        ),
        (
            payload(json!({ "a b": "x\u{ffff}" })),
            "/a b",
            "character",
            "payload[\"a b\"] has the character U+FFFF, which SQS does not take: leave it out",
        ),
        (
            payload(json!({ "\u{fffe}": 1 })),
            "",
            "character",
            "payload has the name \"\u{fffe}\", of which SQS does not take all characters",
        ),
        (
            payload(json!("x".repeat(1_048_576))),
            "",
            "size",
            "1048698 bytes are more than SQS's 1048576: put the data into S3 and send a reference",
        ),
        (
            payload(json!({ "key": "AKIAIOSFODNN7EXAMPLE" })),
            "/key",
            "secret",
            "payload.key has an AWS access key ID, and queues keep and show what they are sent: send a reference to it, or ",
        ),
        (
            and("orderId", json!("7")),
            "/orderId",
            "type",
            "payload.orderId is a string, and must be an integer",
        ),
        (and("orderId", json!(-1)), "/orderId", "minimum", "payload.orderId must be at least 0"),
        (
            and("prio", json!(1)),
            "",
            "additionalProperties",
            "payload has fields that the schema does not know: \"prio\"",
        ),
        (
            and("lines", json!([{ "sku": "a" }])),
            "/lines/0/count",
            "required",
            "payload.lines[0].count is missing",
        ),
        (with("delay", json!(901)), "", "delay", "a delay is 0 to 900 whole seconds, not 901"),
        (with("delay", json!(-1)), "", "delay", "a delay is 0 to 900 whole seconds, not -1"),
        (with("delay", json!(1.5)), "", "delay", "a delay is 0 to 900 whole seconds, not 1.5"),
        (
            with("dedup", json!("x")),
            "",
            "dedup",
            "only a FIFO queue has deduplication IDs: leave it out, or use an idempotency key",
        ),
        (
            with("group", json!("a b")),
            "",
            "group",
            "a group is 1 to 128 ASCII letters, digits and punctuation marks, not \"a b\"",
        ),
        (
            with("group", json!("")),
            "",
            "group",
            "a group is 1 to 128 ASCII letters, digits and punctuation marks, not \"\"",
        ),
        (
            with("idempotencyKey", json!("")),
            "",
            "idempotency_key",
            "idempotencyKey is empty, or has a character that SQS does not take",
        ),
        (
            with("idempotencyKey", json!("ü".repeat(513))),
            "",
            "idempotency_key",
            "idempotencyKey has more than 1024 bytes",
        ),
        (
            with("correlationId", json!("\u{ffff}")),
            "",
            "correlation_id",
            "correlationId is empty, or has a character that SQS does not take",
        ),
        (attributes(many), "", "attribute", "11 attributes are more than SQS's 10"),
        (
            attributes(json!({ "a b": "x" })),
            "",
            "attribute",
            "the attribute name \"a b\" is not of 1 to 256 letters, digits, _, - and single periods",
        ),
        (
            attributes(json!({ "a..b": "x" })),
            "",
            "attribute",
            "the attribute name \"a..b\" is not of 1 to 256 letters, digits, _, - and single periods",
        ),
        (
            attributes(json!({ "AWS.x": "x" })),
            "",
            "attribute",
            "the attribute name \"AWS.x\" is reserved by AWS",
        ),
        (
            attributes(json!({ "messageType": "other" })),
            "",
            "attribute",
            "the attribute \"messageType\" would make another job of this one: leave it out",
        ),
        (
            attributes(json!({ "a": "" })),
            "",
            "attribute",
            "the attribute a is empty, which SQS does not take",
        ),
        (
            attributes(json!({ "a": "\u{1}" })),
            "",
            "attribute",
            "the attribute a has a character that SQS does not take",
        ),
        (
            attributes(json!({ "a": { "$float": "inf" } })),
            "",
            "attribute",
            "the attribute a is not a finite number",
        ),
    ]
}

pub(super) async fn hold(programs: &Programs) {
    let setting = Setting::new(false).await;
    let cases = on_a_standard_queue();
    let entries: Vec<Value> = cases.iter().map(|(entry, ..)| entry.clone()).collect();
    let outcome = setting.send(programs, entries, json!({})).await;
    let problems = outcome["invalid"].as_array().unwrap_or_else(|| panic!("{outcome}"));
    assert_eq!(problems.len(), cases.len(), "one of each: {problems:#?}");
    for (position, (problem, (entry, pointer, kind, text))) in problems.iter().zip(cases).enumerate() {
        assert_eq!(
            (&problem["position"], &problem["pointer"], &problem["kind"]),
            (&json!(position), &json!(pointer), &json!(kind)),
            "{entry:.200}"
        );
        let found = problem["text"].as_str().unwrap();
        assert!(found.starts_with(&spelt(text, programs.language)), "{found}");
    }
    let text = outcome["text"].as_str().unwrap();
    assert!(text.starts_with("no job was sent:\njob 0 (note): payload.n is not"), "{text:.200}");

    // A payload with the maximum depth that a worker reads is sent.
    let nested = |levels: u32| vec![payload(json!({ "$nested": levels }))];
    let outcome = setting.send(programs, nested(128), json!({})).await;
    assert_eq!(outcome["invalid"][0]["kind"], "depth");
    assert_eq!(setting.proxy.count(SEND), 0, "nothing has been sent");
    let outcome = setting.send(programs, nested(127), json!({})).await;
    assert_eq!(outcome["receipts"][0]["position"], 0);
    let text = setting.envelopes()[0].payload.get().to_owned();
    assert!(
        serde_json::from_str::<Value>(&text).is_ok()
            && serde_json::from_str::<Value>(&format!("[{text}]")).is_err()
    );

    let fifo = Setting::new(true).await;
    let entries = vec![with("dedup", json!("x")), {
        let mut entry = with("delay", json!(5));
        entry["group"] = json!("g");
        entry
    }];
    let outcome = fifo.send(programs, entries, json!({})).await;
    let texts: Vec<_> =
        outcome["invalid"].as_array().unwrap().iter().map(|one| one["text"].as_str().unwrap()).collect();
    assert_eq!(
        texts,
        ["a FIFO queue needs a group", "a FIFO queue delays no single job: leave the delay out"]
    );
    assert_eq!(fifo.proxy.count(SEND), 0);
}

/// Options have the names of their language.
fn spelt(text: &str, language: Language) -> String {
    match language {
        Language::TypeScript => text.to_owned(),
        Language::Python => {
            text.replace("idempotencyKey", "idempotency_key").replace("correlationId", "correlation_id")
        }
    }
}
