//! The identity of `report.generate` jobs.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::Settings;
use crate::testing::{self, Tester};

fn base() -> Value {
    json!({ "source": "s3://sales/2026.csv", "target": "s3://sales/out/2026", "groupBy": "country", "value": "amount" })
}

fn with(field: &str, value: Value) -> Value {
    let mut payload = base();
    payload[field] = value;
    payload
}

fn tester() -> Tester {
    testing::tester(crate::router(&Settings::from_lookup(|_| None).unwrap()))
}

async fn identify(payload: &Value) -> (String, u128) {
    testing::identify(tester().payload("report.generate", payload)).await
}

/// Different work must have different keys. With equal keys for different payloads, the second job would fail because of its
/// other payload.
#[tokio::test]
async fn each_payload_has_its_own_key() {
    let mut swapped = base();
    (swapped["groupBy"], swapped["value"]) = (json!("amount"), json!("country"));
    let mut shifted = base();
    (shifted["groupBy"], shifted["value"]) = (json!("countrya"), json!("mount"));
    let mut keys = HashMap::new();
    let mut hashes = HashMap::new();
    for payload in [
        base(),
        swapped,
        shifted,
        with("source", json!("s3://sales/2025.csv")),
        with("source", json!("file:///sales/2026.csv")),
        with("source", json!("file:///sales/%32026.csv")),
        with("target", json!("s3://sales/out/2025")),
        with("groupBy", json!("product")),
        with("value", json!("tax")),
        with("title", json!("Sales")),
        // The default, named explicitly.
        with("title", json!("amount by country")),
        with("title", json!("")),
        with("title", Value::Null),
        with("revision", json!("2026-11-28")),
        with("revision", json!("2026-11-29")),
        with("revision", json!("Sales")),
        with("revision", Value::Null),
        // Texts that could end one field and begin the next.
        with("groupBy", json!("country\",\"value\":\"amount")),
        with("groupBy", json!("country,amount")),
        with("groupBy", json!("country\u{0}amount")),
        with("value", json!("amount\",\"title\":\"Sales")),
        with("value", json!("amount\",\"revision\":\"2026-11-28")),
        with("title", json!("Sales\",\"revision\":\"2026-11-28")),
    ] {
        let (key, hash) = identify(&payload).await;
        assert_eq!(keys.insert(key, payload.clone()), None, "as {payload}");
        assert_eq!(hashes.insert(hash, payload.clone()), None, "as {payload}");
    }
}

#[tokio::test]
async fn the_same_payload_has_the_same_key_in_every_notation() {
    let tester = tester();
    let body = |version: u32, payload: &str| {
        format!(r#"{{"type":"report.generate","schemaVersion":{version},"payload":{payload}}}"#)
    };
    let one = r#"{"source":"s3://b/é","target":"s3://b/t","groupBy":"a","value":"b"}"#;
    let other = r#"{ "value":"b", "groupBy":"\u0061", "target":"s3:\/\/b/t", "source":"s3://b/\u00e9" }"#;
    let expected = testing::identify(tester.body(body(2, one))).await;
    for body in [body(2, other), body(1, one), body(1, other)] {
        assert_eq!(testing::identify(tester.body(body.clone())).await, expected, "{body}");
    }
}

#[tokio::test]
async fn stores_keep_keys_so_they_never_change() {
    for (payload, key) in [
        (base(), "report:549940767f618db8f3b2f471d497f54adce9aa11c64bb9abd65d62d1cee096a3"),
        (
            with("title", json!("Sales")),
            "report:c97b8b74fd7eb055a7ff5544e67fb5814f813b352c5d6616488b698bf8aaab9e",
        ),
    ] {
        assert_eq!(identify(&payload).await.0, key);
    }
}
