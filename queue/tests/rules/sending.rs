//! The messages that can be sent, and the replies to sends.

use std::collections::BTreeMap;

use drumline_queue::ErrorCode::{self, *};
use drumline_queue::api::{
    MessageAttributeValue, MessageAttributes, SendMessage, SendMessageBatch, SendMessageBatchEntry,
};

use crate::{Desk, code, message};

#[test]
fn bodies() {
    let limit = 1_048_576;
    let table: &[(String, Option<ErrorCode>)] = &[
        ("x".into(), None),
        ("\t\n\r \u{D7FF}\u{E000}\u{FFFD}\u{10000}\u{10FFFF}".into(), None),
        ("x".repeat(limit), None),
        ("x".repeat(limit + 1), Some(InvalidParameterValue)),
        ("é".repeat(limit / 2 + 1), Some(InvalidParameterValue)),
        (String::new(), Some(MissingParameter)),
        ("\u{0}".into(), Some(InvalidMessageContents)),
        ("\u{8}".into(), Some(InvalidMessageContents)),
        ("\u{1F}".into(), Some(InvalidMessageContents)),
        ("\u{FFFE}".into(), Some(InvalidMessageContents)),
        ("\u{FFFF}".into(), Some(InvalidMessageContents)),
    ];
    for (body, expected) in table {
        let mut desk = Desk::with_queue(&[]);
        let result = desk.try_send(message("q", body));
        assert_eq!(result.map_err(|error| error.code).err(), *expected, "{:?}", body.chars().next());
    }
}

#[test]
fn attributes_count_for_the_size() {
    let mut desk = Desk::with_queue(&[("MaximumMessageSize", "1024")]);
    // 1 + 6 + 10 bytes of name, type and value leave 1007 for the body.
    let with = |body: usize| SendMessage {
        message_attributes: [("n".to_owned(), MessageAttributeValue::string("0123456789"))].into(),
        ..message("q", &"x".repeat(body))
    };
    desk.try_send(with(1007)).unwrap();
    assert_eq!(code(desk.try_send(with(1008))), InvalidParameterValue);
}

#[test]
fn delays() {
    for (secs, expected) in
        [(0, None), (900, None), (-1, Some(InvalidParameterValue)), (901, Some(InvalidParameterValue))]
    {
        let mut desk = Desk::with_queue(&[]);
        let result = desk.try_send(SendMessage { delay_seconds: Some(secs), ..message("q", "x") });
        assert_eq!(result.map_err(|error| error.code).err(), expected, "{secs}");
    }
}

#[test]
fn attribute_names_and_values() {
    let text = |value: &str| MessageAttributeValue::string(value);
    let typed = |data_type: &str, value: &str| MessageAttributeValue {
        data_type: data_type.into(),
        ..MessageAttributeValue::string(value)
    };
    let (long, too_long) = ("n".repeat(256), "n".repeat(257));
    let good = [
        ("a", text("v")),
        ("A_b-c.d9", text("v")),
        ("awsome", text("v")),
        (long.as_str(), text("v")),
        ("n", typed("String.label", "v")),
        ("n", MessageAttributeValue::number("-1.5e3")),
        ("n", typed("Number.int", "7")),
        ("n", MessageAttributeValue::binary([0])),
    ];
    for (name, value) in good {
        let mut desk = Desk::with_queue(&[]);
        let message_attributes = [(name.to_owned(), value)].into();
        desk.try_send(SendMessage { message_attributes, ..message("q", "x") }).unwrap();
    }
    let bad = [
        ("", text("v")),
        (too_long.as_str(), text("v")),
        ("a b", text("v")),
        ("AWS.x", text("v")),
        ("amazon.x", text("v")),
        (".a", text("v")),
        ("a.", text("v")),
        ("a..b", text("v")),
        ("n", text("")),
        ("n", text("\u{1}")),
        ("n", typed("", "v")),
        ("n", typed("Text", "v")),
        ("n", typed("Binary", "v")),
        ("n", typed("Number", "one")),
        ("n", typed("Number", "NaN")),
        ("n", MessageAttributeValue::binary([])),
        ("n", MessageAttributeValue { data_type: "String".into(), ..Default::default() }),
    ];
    for (name, value) in bad {
        let mut desk = Desk::with_queue(&[]);
        let message_attributes = [(name.to_owned(), value.clone())].into();
        let request = SendMessage { message_attributes, ..message("q", "x") };
        assert_eq!(code(desk.try_send(request)), InvalidParameterValue, "{name} {value:?}");
    }
}

#[test]
fn ten_attributes_and_no_more() {
    let many = |count: usize| -> MessageAttributes {
        (0..count).map(|n| (format!("n{n}"), MessageAttributeValue::string("v"))).collect()
    };
    let mut desk = Desk::with_queue(&[]);
    desk.try_send(SendMessage { message_attributes: many(10), ..message("q", "x") }).unwrap();
    let eleven = SendMessage { message_attributes: many(11), ..message("q", "x") };
    assert_eq!(code(desk.try_send(eleven)), InvalidParameterValue);
}

#[test]
fn the_trace_header_is_the_only_system_attribute() {
    let mut desk = Desk::with_queue(&[]);
    let with = |name: &str, value| SendMessage {
        message_system_attributes: [(name.to_owned(), value)].into(),
        ..message("q", "x")
    };
    let root = MessageAttributeValue::string("Root=1-5759e988-bd862e3fe1be46a994272793");
    let reply = desk.try_send(with("AWSTraceHeader", root.clone())).unwrap();
    assert!(reply.md5_of_message_system_attributes.is_some());
    let received = desk.receive("q");
    assert_eq!(received[0].attributes.aws_trace_header.as_deref(), root.string_value.as_deref());
    assert_eq!(code(desk.try_send(with("SenderId", root))), InvalidParameterValue);
    let number = MessageAttributeValue::number("1");
    assert_eq!(code(desk.try_send(with("AWSTraceHeader", number))), InvalidParameterValue);
}

#[test]
fn md5s_are_those_of_sqs() {
    let mut desk = Desk::with_queue(&[]);
    let message_attributes = BTreeMap::from([
        ("text".to_owned(), MessageAttributeValue::string("value")),
        ("count".to_owned(), MessageAttributeValue::number("42")),
        ("raw".to_owned(), MessageAttributeValue::binary([0, 1, 255])),
    ]);
    let reply = desk.try_send(SendMessage { message_attributes, ..message("q", "hello") }).unwrap();
    assert_eq!(&*reply.md5_of_message_body, "5d41402abc4b2a76b9719d911017c592");
    // Computed with the algorithm's published description in another language.
    assert_eq!(reply.md5_of_message_attributes.as_deref(), Some("1756689301592fab020d29c7493c85b1"));
}

fn entry(id: &str, body: &str) -> SendMessageBatchEntry {
    SendMessageBatchEntry { id: id.into(), message_body: body.into(), ..Default::default() }
}

fn send_batch(
    desk: &mut Desk,
    entries: Vec<SendMessageBatchEntry>,
) -> Result<drumline_queue::api::SendMessageBatchReply, drumline_queue::SqsError> {
    desk.sqs.send_message_batch(desk.now, SendMessageBatch { queue_url: "q".into(), entries })
}

#[test]
fn batches_as_a_whole() {
    let half = "x".repeat(524_288);
    let long_id = "i".repeat(81);
    let eleven: Vec<_> = (0..11).map(|n| entry(&n.to_string(), "x")).collect();
    let table = [
        (vec![], EmptyBatchRequest),
        (eleven, TooManyEntriesInBatchRequest),
        (vec![entry("a", "x"), entry("a", "y")], BatchEntryIdsNotDistinct),
        (vec![entry("", "x")], InvalidBatchEntryId),
        (vec![entry("a.b", "x")], InvalidBatchEntryId),
        (vec![entry(&long_id, "x")], InvalidBatchEntryId),
        (vec![entry("a", &half), entry("b", &half), entry("c", "x")], BatchRequestTooLong),
    ];
    for (entries, expected) in table {
        let mut desk = Desk::with_queue(&[]);
        assert_eq!(code(send_batch(&mut desk, entries)), expected);
        assert!(desk.states("q").is_empty());
    }
    let mut desk = Desk::with_queue(&[]);
    let reply = send_batch(&mut desk, vec![entry("a", &half), entry(&"i".repeat(80), &half)]).unwrap();
    assert_eq!(reply.successful.len(), 2);
}

#[test]
fn batch_entries_fail_one_by_one() {
    let mut desk = Desk::with_queue(&[]);
    let late = SendMessageBatchEntry { delay_seconds: Some(901), ..entry("late", "x") };
    let reply = send_batch(&mut desk, vec![entry("good", "x"), entry("bad", "\u{0}"), late]).unwrap();
    assert_eq!(reply.successful.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["good"]);
    let failed: Vec<_> =
        reply.failed.iter().map(|f| (f.id.as_str(), f.code.as_str(), f.sender_fault)).collect();
    assert_eq!(failed, [("bad", "InvalidMessageContents", true), ("late", "InvalidParameterValue", true)]);
    assert_eq!(desk.states("q").len(), 1);
}

#[test]
fn a_group_on_a_standard_queue_is_a_tenant_and_orders_nothing() {
    let mut desk = Desk::with_queue(&[]);
    for body in ["1", "2"] {
        desk.try_send(SendMessage { message_group_id: Some("tenant".into()), ..message("q", body) }).unwrap();
    }
    let first = desk.try_receive(&crate::receive_up_to("q", 1)).unwrap();
    assert_eq!(first[0].attributes.message_group_id.as_deref(), Some("tenant"));
    assert_eq!(desk.bodies("q"), ["2"], "the group is not locked");
    let deduplicated = SendMessage { message_deduplication_id: Some("d".into()), ..message("q", "x") };
    assert_eq!(code(desk.try_send(deduplicated)), InvalidParameterValue);
}
