//! The messages that a receive returns, their times and their counts.

use drumline_queue::ErrorCode::*;
use drumline_queue::api::{MessageAttributeValue, ReceiveMessage, SendMessage, SystemAttributes};
use drumline_queue::limits::MAX_IN_FLIGHT;
use drumline_queue::{MessageState, Timestamp};

use crate::{Desk, code, message, receive_up_to};

#[test]
fn parameters() {
    let base = ReceiveMessage { queue_url: "q".into(), ..Default::default() };
    for max in [0, 11, -1] {
        let request = ReceiveMessage { max_number_of_messages: Some(max), ..base.clone() };
        assert_eq!(code(Desk::with_queue(&[]).try_receive(&request)), InvalidParameterValue, "max {max}");
    }
    for secs in [-1, 43_201] {
        let request = ReceiveMessage { visibility_timeout: Some(secs), ..base.clone() };
        assert_eq!(
            code(Desk::with_queue(&[]).try_receive(&request)),
            InvalidParameterValue,
            "visibility {secs}"
        );
    }
    let desk = Desk::with_queue(&[("ReceiveMessageWaitTimeSeconds", "7")]);
    for secs in [-1, 21] {
        let request = ReceiveMessage { wait_time_seconds: Some(secs), ..base.clone() };
        assert_eq!(code(desk.sqs.receive_wait(&request)), InvalidParameterValue, "wait {secs}");
    }
    assert_eq!(desk.sqs.receive_wait(&base).unwrap().as_secs(), 7, "the queue's own");
    let zero = ReceiveMessage { wait_time_seconds: Some(0), ..base };
    assert_eq!(desk.sqs.receive_wait(&zero).unwrap().as_secs(), 0);
}

#[test]
fn one_message_unless_more_are_asked_for() {
    let mut desk = Desk::with_queue(&[]);
    for number in 0..12 {
        desk.send("q", &number.to_string());
    }
    let base = ReceiveMessage { queue_url: "q".into(), ..Default::default() };
    assert_eq!(desk.try_receive(&base).unwrap().len(), 1);
    assert_eq!(desk.receive("q").len(), 10);
    assert_eq!(desk.receive("q").len(), 1);
}

#[test]
fn a_received_message_is_hidden_and_redelivered() {
    let mut desk = Desk::with_queue(&[("VisibilityTimeout", "5")]);
    desk.send("q", "x");
    assert_eq!(desk.bodies("q"), ["x"]);
    desk.pass(4);
    assert!(desk.receive("q").is_empty());
    desk.pass(1);
    let again = desk.receive("q");
    assert_eq!(again[0].attributes.approximate_receive_count, Some(2));
}

#[test]
fn visibility_of_the_receive_beats_the_queues() {
    let mut desk = Desk::with_queue(&[]);
    desk.send("q", "x");
    let request = ReceiveMessage { visibility_timeout: Some(2), ..receive_up_to("q", 1) };
    desk.try_receive(&request).unwrap();
    desk.pass(2);
    let request = ReceiveMessage { visibility_timeout: Some(0), ..receive_up_to("q", 10) };
    assert_eq!(desk.try_receive(&request).unwrap().len(), 1, "once per receive, even with no timeout");
    assert_eq!(desk.receive("q").len(), 1);
}

#[test]
fn delays_of_queue_and_message() {
    let mut desk = Desk::with_queue(&[("DelaySeconds", "10")]);
    desk.send("q", "queue's");
    desk.try_send(SendMessage { delay_seconds: Some(0), ..message("q", "none") }).unwrap();
    desk.try_send(SendMessage { delay_seconds: Some(3), ..message("q", "own") }).unwrap();
    assert_eq!(desk.bodies("q"), ["none"]);
    desk.pass(3);
    assert_eq!(desk.bodies("q"), ["own"]);
    desk.pass(6);
    assert!(desk.receive("q").is_empty());
    desk.pass(1);
    assert_eq!(desk.bodies("q"), ["queue's"]);
}

#[test]
fn retention_ends_every_state() {
    let mut desk = Desk::with_queue(&[("MessageRetentionPeriod", "60"), ("VisibilityTimeout", "600")]);
    desk.send("q", "in flight");
    desk.receive("q");
    desk.send("q", "visible");
    desk.try_send(SendMessage { delay_seconds: Some(300), ..message("q", "delayed") }).unwrap();
    desk.pass(59);
    assert_eq!(desk.states("q").len(), 3);
    desk.pass(1);
    assert!(desk.states("q").is_empty());
}

#[test]
fn a_redelivered_message_goes_behind_those_that_wait() {
    let mut desk = Desk::with_queue(&[("VisibilityTimeout", "5")]);
    desk.send("q", "old");
    desk.receive("q");
    desk.pass(1);
    desk.send("q", "new");
    desk.pass(10);
    assert_eq!(desk.bodies("q"), ["new", "old"]);
}

#[test]
fn system_attributes_are_those_asked_for() {
    let mut desk = Desk::with_queue(&[("VisibilityTimeout", "0")]);
    desk.send("q", "x");
    let sent = desk.now;
    desk.pass(2);
    let mut ask = |new: &[&str], old: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let request = ReceiveMessage {
            queue_url: "q".into(),
            message_system_attribute_names: names(new),
            attribute_names: names(old),
            ..Default::default()
        };
        desk.try_receive(&request).unwrap().remove(0).attributes
    };
    assert_eq!(ask(&[], &[]), SystemAttributes::default());
    assert_eq!(
        ask(&["SentTimestamp"], &["ApproximateReceiveCount"]),
        SystemAttributes {
            sent_timestamp: Some(sent),
            approximate_receive_count: Some(2),
            ..Default::default()
        }
    );
    let all = ask(&[], &["All"]);
    assert_eq!(all.sender_id.as_deref(), Some("000000000000"));
    assert_eq!(
        all.approximate_first_receive_timestamp,
        Some(Timestamp::from_millis(sent.as_millis() + 2000))
    );
    assert_eq!(all.approximate_receive_count, Some(3));
    assert_eq!(ask(&["All"], &[]).approximate_receive_count, Some(4));
    assert_eq!(ask(&["Unknown"], &[]), SystemAttributes::default());
}

#[test]
fn user_attributes_are_those_asked_for() {
    let mut desk = Desk::with_queue(&[("VisibilityTimeout", "0")]);
    let names = ["trace.id", "trace.span", "tenant"];
    let message_attributes =
        names.iter().map(|name| ((*name).to_owned(), MessageAttributeValue::string("v"))).collect();
    let sent = desk.try_send(SendMessage { message_attributes, ..message("q", "x") }).unwrap();
    let table: &[(&[&str], &[&str])] = &[
        (&[], &[]),
        (&["All"], &["tenant", "trace.id", "trace.span"]),
        (&[".*"], &["tenant", "trace.id", "trace.span"]),
        (&["trace.*"], &["trace.id", "trace.span"]),
        (&["tenant", "absent"], &["tenant"]),
    ];
    for (asked, expected) in table {
        let request = ReceiveMessage {
            queue_url: "q".into(),
            message_attribute_names: asked.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        };
        let received = desk.try_receive(&request).unwrap().remove(0);
        let shown: Vec<&str> = received.message_attributes.keys().map(String::as_str).collect();
        assert_eq!(shown, *expected);
        let complete = expected.len() == names.len();
        assert_eq!(
            received.md5_of_message_attributes == sent.md5_of_message_attributes,
            complete,
            "{asked:?}"
        );
        assert_eq!(received.md5_of_message_attributes.is_some(), !expected.is_empty());
    }
}

#[test]
fn peeking_changes_nothing() {
    let mut desk = Desk::with_queue(&[]);
    desk.send("q", "x");
    for _ in 0..3 {
        let peeked = desk.sqs.peek(desk.now, "q").unwrap();
        assert_eq!((peeked[0].receive_count, peeked[0].state), (0, MessageState::Visible));
    }
    assert_eq!(desk.receive("q")[0].attributes.approximate_receive_count, Some(1));
}

#[test]
fn the_next_change_is_when_something_hidden_shows() {
    let mut desk = Desk::with_queue(&[("VisibilityTimeout", "5")]);
    assert_eq!(desk.sqs.next_change("q"), None);
    assert_eq!(desk.sqs.next_change("absent"), None);
    desk.send("q", "x");
    desk.receive("q");
    let back = desk.now.plus(std::time::Duration::from_secs(5));
    assert_eq!(desk.sqs.next_change("q"), Some(back));
    assert!(!desk.sqs.has_receivable(desk.now, "q").unwrap());
    assert!(desk.sqs.has_receivable(back, "q").unwrap());
}

#[test]
fn so_many_in_flight_and_no_more() {
    let mut desk = Desk::with_queue(&[]);
    for _ in 0..=MAX_IN_FLIGHT {
        desk.send("q", "x");
    }
    let mut in_flight = 0;
    while in_flight < MAX_IN_FLIGHT {
        in_flight += desk.receive("q").len();
    }
    let error = desk.try_receive(&receive_up_to("q", 10)).unwrap_err();
    assert_eq!(error.code, OverLimit);
}
