//! The identity of `image.process` jobs.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::Settings;
use crate::testing::{self, Tester};

fn base() -> Value {
    json!({
        "source": "s3://photos/1.jpg",
        "outputs": [
            {
                "target": "s3://photos/a.webp",
                "operations": [
                    { "resize": { "width": 32, "height": 24 } },
                    { "convert": { "format": "webp" } },
                ],
            },
            { "target": "s3://photos/b.png", "operations": [{ "convert": { "format": "png" } }] },
        ],
    })
}

/// Returns the payload with another value at a JSON pointer, which may be new in an object.
fn with(pointer: &str, value: Value) -> Value {
    let mut payload = base();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = payload.pointer_mut(parent).unwrap();
    match name.parse::<usize>() {
        Ok(index) => parent[index] = value,
        Err(_) => parent[name] = value,
    }
    payload
}

fn tester() -> Tester {
    testing::tester(crate::router(&Settings::from_lookup(|_| None).unwrap()))
}

async fn identify(payload: &Value) -> (String, u128) {
    testing::identify(tester().payload("image.process", payload)).await
}

/// Returns payloads that differ in one part each. Some describe the same work as the first, because they name a default.
fn different() -> Vec<Value> {
    let resize = "/outputs/0/operations/0/resize";
    let convert = "/outputs/0/operations/1/convert";
    let mut swapped = base();
    swapped["outputs"].as_array_mut().unwrap().reverse();
    let mut fewer = base();
    fewer["outputs"].as_array_mut().unwrap().pop();
    vec![
        base(),
        swapped,
        fewer,
        with("/source", json!("s3://photos/2.jpg")),
        with("/source", json!("file:///photos/1.jpg")),
        with("/source", json!("file:///photos/%31.jpg")),
        with("/outputs/0/target", json!("s3://photos/c.webp")),
        with("/outputs/0/operations", json!([{ "resize": { "width": 32, "height": 24 } }])),
        with("/outputs/0/operations", json!([{ "convert": { "format": "webp" } }])),
        with(&format!("{resize}/width"), json!(33)),
        with(&format!("{resize}/height"), json!(25)),
        with(resize, json!({ "width": 24, "height": 32 })),
        with(&format!("{resize}/fit"), json!("inside")),
        with(&format!("{resize}/fit"), Value::Null),
        with(&format!("{convert}/format"), json!("avif")),
        with(&format!("{convert}/quality"), json!(79)),
        with(&format!("{convert}/quality"), json!(80)),
        with(&format!("{convert}/quality"), Value::Null),
        with("/revision", json!("2026-11-28")),
        with("/revision", json!("2026-11-29")),
        with("/revision", json!("")),
        with("/revision", Value::Null),
        // Texts that could end one field and begin the next.
        with("/source", json!("s3://photos/1.jpg\",\"outputs\":[{\"target\":\"s3://photos/a.webp")),
        with("/source", json!("s3://photos/1.jpg,s3://photos/a.webp")),
        with(
            "/outputs/0/target",
            json!("s3://photos/a.webp\",\"operations\":[]},{\"target\":\"s3://photos/x"),
        ),
        with("/outputs/0/target", json!("s3://photos/a.webp\u{0}")),
    ]
}

/// Different work must have different keys. With equal keys for different payloads, the second job would fail because of its
/// other payload.
#[tokio::test]
async fn each_payload_has_its_own_key() {
    let mut keys = HashMap::new();
    let mut hashes = HashMap::new();
    for payload in different() {
        let (key, hash) = identify(&payload).await;
        assert_eq!(keys.insert(key, payload.clone()), None, "as {payload}");
        assert_eq!(hashes.insert(hash, payload.clone()), None, "as {payload}");
    }
}

#[tokio::test]
async fn the_same_payload_has_the_same_key_in_every_notation() {
    let tester = tester();
    let body = |version: u32, payload: &str| {
        format!(r#"{{"type":"image.process","schemaVersion":{version},"payload":{payload}}}"#)
    };
    let one = r#"{"source":"s3://b/é","outputs":[{"target":"s3://b/t","operations":[{"resize":{"width":3,"height":2}}]}]}"#;
    let other = r#"{ "outputs": [{"operations":[{"resize":{"height":2,"width":3}}], "target":"s3:\/\/b/t"}],
        "source":"s3://b/\u00e9" }"#;
    let expected = testing::identify(tester.body(body(2, one))).await;
    for body in [body(2, other), body(1, one), body(1, other)] {
        assert_eq!(testing::identify(tester.body(body.clone())).await, expected, "{body}");
    }
}

#[tokio::test]
async fn stores_keep_keys_so_they_never_change() {
    for (payload, key) in [
        (base(), "image:432c277483731bc905c201081b816359b1cb2654e656565d39c7577fd5fd4d5c"),
        (
            with("/revision", json!("7")),
            "image:b7f301bf58c32a2a21cd5670ccfde26c5189d48319e0015f63f570c9d88f0e7f",
        ),
    ] {
        assert_eq!(identify(&payload).await.0, key);
    }
}
