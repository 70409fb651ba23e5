#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::*;

#[derive(JsonSchema)]
#[allow(dead_code, reason = "it is there for its schema")]
struct Order {
    /// The items.
    items: Vec<Item>,
    position: (u8, u8),
    #[schemars(flatten)]
    payment: Payment,
    notes: BTreeMap<String, Option<Item>>,
    parent: Option<Box<Order>>,
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "it is there for its schema")]
struct Item {
    name: String,
    parts: Vec<Item>,
}

#[derive(JsonSchema)]
#[schemars(tag = "kind")]
#[allow(dead_code, reason = "it is there for its schema")]
enum Payment {
    Card { item: Item },
    Cash,
}

fn contract() -> Contract {
    let schema = schemars::schema_for!(Order).to_value();
    let types = json!([
        { "type": "order", "version": 2, "versions": [{ "version": 1, "schema": { "type": "object" } }, { "version": 2, "schema": schema }] },
        { "type": "audit log/1", "version": 1, "versions": [{ "version": 1, "schema": null }] },
    ]);
    serde_json::from_value(json!({ "drumline": "contract/1", "types": types })).unwrap()
}

fn queue(name: &str, types: Option<&[&str]>) -> Queue {
    let types = types.map(|types| types.iter().map(|name| (*name).to_owned()).collect());
    let server = Server { host: "sqs.eu-west-1.amazonaws.com".to_owned(), path: "/123456789012".to_owned() };
    Queue { name: name.to_owned(), server: Some(server), types }
}

fn documents() -> Vec<Value> {
    let elsewhere = Server { host: "localhost:9324".to_owned(), path: String::new() };
    let twice = Queue { server: Some(elsewhere), ..queue("orders.fifo", Some(&["order"])) };
    let unknown = Queue { server: None, ..queue("logs", Some(&[])) };
    let queues =
        [vec![], vec![queue("jobs", None)], vec![queue("orders.fifo", Some(&["order"])), twice, unknown]];
    queues.map(|queues| document(&contract(), "shop", "1.2.3", &queues)).into()
}

/// Collects the references in a value and in all values below it.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(node) => {
            if let Some(Value::String(reference)) = node.get("$ref") {
                assert_eq!(node.len(), 1, "nothing counts beside a reference: {value}");
                found.push(reference.clone());
            }
            node.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// Checks the rules of the specification: required fields, keys, and the targets of references.
#[test]
fn a_document_keeps_to_the_specification() {
    for document in documents() {
        assert_eq!(document["asyncapi"], "3.0.0");
        assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
        let mut found = Vec::new();
        references(&document, &mut found);
        for reference in &found {
            let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            assert!(target.is_some(), "{reference} leads nowhere in {document}");
        }
        let is_key = |key: &String| key.chars().all(|of| of.is_ascii_alphanumeric() || "._-".contains(of));
        for part in ["/servers", "/channels", "/operations", "/components/messages", "/components/schemas"] {
            assert!(
                document.pointer(part).unwrap().as_object().unwrap().keys().all(is_key),
                "{part}: {document}"
            );
        }
        for server in document["servers"].as_object().unwrap().values() {
            assert!(server["host"].is_string() && server["protocol"] == "sqs", "{server}");
        }
        for (name, channel) in document["channels"].as_object().unwrap() {
            assert!(channel["address"].is_string() || channel["address"].is_null());
            for message in channel["messages"].as_object().unwrap().values() {
                assert!(message["$ref"].as_str().unwrap().starts_with("#/components/messages/"), "{name}");
            }
        }
        for operation in document["operations"].as_object().unwrap().values() {
            assert_eq!(operation["action"], "receive");
            let channel = operation["channel"]["$ref"].as_str().unwrap();
            assert!(channel.starts_with("#/channels/"));
            for message in operation["messages"].as_array().unwrap() {
                // References to messages go through the channel, not through the components.
                assert!(message["$ref"].as_str().unwrap().starts_with(&format!("{channel}/messages/")));
            }
        }
    }
}

/// A payload that fits a schema fits only the message that carries it.
#[test]
fn a_message_is_its_envelope() {
    let document = documents().remove(1);
    let validator = |message: &str| {
        let mut schema = document["components"]["messages"][message]["payload"].clone();
        schema["components"] = document["components"].clone();
        schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
        jsonschema::validator_for(&schema).unwrap()
    };
    let item = json!({ "name": "a", "parts": [{ "name": "b", "parts": [] }] });
    let order = json!({ "items": [item], "position": [1, 2], "kind": "Card", "item": item, "notes": { "x": null, "y": item }, "parent": null });
    let body = |version: Value, payload: &Value| json!({ "type": "order", "schemaVersion": version, "jobId": null, "payload": payload });
    let (one, two) = (validator("order.v1"), validator("order.v2"));
    let is_valid = |body: &Value| [one.is_valid(body), two.is_valid(body)];
    assert_eq!(is_valid(&body(json!(2), &order)), [false, true]);
    assert_eq!(is_valid(&body(json!(1), &order)), [true, false]);
    assert_eq!(is_valid(&json!({ "type": "order", "payload": order })), [true, false]);
    for (pointer, wrong) in [
        ("/items/0/name", json!(1)),
        ("/position/1", json!(300)),
        ("/kind", json!("Cheque")),
        ("/notes/y/parts", json!(1)),
    ] {
        let mut order = order.clone();
        *order.pointer_mut(pointer).unwrap() = wrong;
        assert_eq!(is_valid(&body(json!(2), &order)), [false, false], "{pointer}");
    }
    assert!(validator("audit_x20_log_x2f_1.v1").is_valid(&json!({ "type": "audit log/1", "payload": [1] })));
}

#[test]
fn channels_are_queues_with_the_types_that_they_get() {
    let [unknown, one, several] = documents().try_into().unwrap();
    assert_eq!(unknown["channels"]["jobs"]["address"], Value::Null);
    assert_eq!(unknown["servers"], json!({}));
    assert_eq!(one["channels"]["jobs"]["messages"].as_object().unwrap().len(), 3);
    assert_eq!(one["servers"]["sqs"]["pathname"], "/123456789012");
    assert_eq!(several["channels"]["orders.fifo"]["messages"].as_object().unwrap().len(), 2);
    assert_eq!(several["channels"]["orders.fifo"]["bindings"]["sqs"]["queue"]["fifoQueue"], true);
    assert_eq!(several["channels"]["orders.fifo-2"]["servers"], json!([{ "$ref": "#/servers/sqs-2" }]));
    assert_eq!(several["channels"]["logs"].get("servers"), None);
    assert_eq!(several["operations"]["receive-logs"]["messages"], json!([]));
}
