//! FIFO queues: groups, order and deduplication.

use drumline_queue::ErrorCode::*;
use drumline_queue::api::{ReceiveMessage, SendMessage, SetQueueAttributes};

use crate::{Desk, code, message, receive_up_to};

const FIFO: (&str, &str) = ("FifoQueue", "true");
const BY_CONTENT: (&str, &str) = ("ContentBasedDeduplication", "true");

#[test]
fn what_a_fifo_send_needs() {
    let grouped = SendMessage { message_group_id: Some("g".into()), ..message("q.fifo", "x") };
    let complete = SendMessage { message_deduplication_id: Some("d".into()), ..grouped.clone() };
    let long = "i".repeat(128);
    let too_long = "i".repeat(129);
    let with = |group: &str, id: &str| SendMessage {
        message_group_id: Some(group.into()),
        message_deduplication_id: Some(id.into()),
        ..message("q.fifo", "x")
    };
    let table = [
        (message("q.fifo", "x"), Some(MissingParameter)),
        (grouped.clone(), Some(InvalidParameterValue)),
        (complete.clone(), None),
        (with(&long, &long), None),
        (with("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "aZ9"), None),
        (with(&too_long, "d"), Some(InvalidParameterValue)),
        (with("g", &too_long), Some(InvalidParameterValue)),
        (with("", "d"), Some(InvalidParameterValue)),
        (with("g", "a b"), Some(InvalidParameterValue)),
        (with("é", "d"), Some(InvalidParameterValue)),
        (SendMessage { delay_seconds: Some(1), ..complete.clone() }, Some(InvalidParameterValue)),
        (SendMessage { delay_seconds: Some(0), ..complete }, None),
    ];
    for (request, expected) in table {
        let mut desk = Desk::with_queue(&[FIFO]);
        let result = desk.try_send(request.clone());
        assert_eq!(result.map_err(|error| error.code).err(), expected, "{request:?}");
    }
    Desk::with_queue(&[FIFO, BY_CONTENT]).try_send(grouped).unwrap();
}

#[test]
fn a_message_in_flight_holds_up_what_is_behind_it() {
    let mut desk = Desk::with_queue(&[FIFO]);
    for (group, id) in [("a", "a1"), ("b", "b1"), ("a", "a2")] {
        desk.send_fifo("q.fifo", group, id);
    }
    let first = desk.try_receive(&receive_up_to("q.fifo", 1)).unwrap();
    assert_eq!(&*first[0].body, "a1");
    assert_eq!(desk.bodies("q.fifo"), ["b1"], "the other group continues");
    assert!(desk.receive("q.fifo").is_empty());
    desk.delete("q.fifo", &first[0].receipt_handle).unwrap();
    assert_eq!(desk.bodies("q.fifo"), ["a2"]);
}

#[test]
fn one_receive_takes_a_group_in_order_and_then_the_next() {
    let mut desk = Desk::with_queue(&[FIFO]);
    for (group, id) in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("b", "b2"), ("a", "a3")] {
        desk.send_fifo("q.fifo", group, id);
    }
    let received = desk.try_receive(&receive_up_to("q.fifo", 4)).unwrap();
    let bodies: Vec<&str> = received.iter().map(|message| &*message.body).collect();
    assert_eq!(bodies, ["a1", "a2", "a3", "b1"]);
    let numbers: Vec<_> = received.iter().map(|m| m.attributes.sequence_number.clone().unwrap()).collect();
    assert!(numbers[0] < numbers[1] && numbers[1] < numbers[2]);
    assert!(numbers.iter().all(|number| number.len() == 20));
}

/// Behaviour that was observed on AWS:
/// <https://github.com/localstack/localstack/blob/v4.14.0/tests/aws/services/sqs/test_sqs.py>
/// (`test_fifo_message_group_visibility_after_terminate_visibility_timeout`, `…_after_change_message_visibility`).
#[test]
fn a_message_in_flight_does_not_hold_up_what_is_before_it() {
    for secs in [0, 1] {
        let mut desk = Desk::with_queue(&[FIFO]);
        for (group, id) in [("a", "a1"), ("a", "a2"), ("b", "b1")] {
            desk.send_fifo("q.fifo", group, id);
        }
        let received = desk.try_receive(&receive_up_to("q.fifo", 2)).unwrap();
        assert_eq!([&*received[0].body, &*received[1].body], ["a1", "a2"]);
        desk.pass(1);
        desk.hide("q.fifo", &received[0].receipt_handle, secs).unwrap();
        desk.pass(1);
        assert_eq!(desk.bodies("q.fifo"), ["b1", "a1"], "hidden for {secs} s");
    }
}

#[test]
fn a_redelivered_message_waits_for_those_before_it() {
    let mut desk = Desk::with_queue(&[FIFO, ("VisibilityTimeout", "10")]);
    for id in ["1", "2", "3"] {
        desk.send_fifo("q.fifo", "g", id);
    }
    let received = desk.receive("q.fifo");
    desk.hide("q.fifo", &received[1].receipt_handle, 0).unwrap();
    assert!(desk.receive("q.fifo").is_empty(), "the first is in flight");
    desk.delete("q.fifo", &received[0].receipt_handle).unwrap();
    assert_eq!(desk.bodies("q.fifo"), ["2"], "the third is in flight");
    desk.pass(10);
    assert_eq!(desk.bodies("q.fifo"), ["2", "3"]);
}

#[test]
fn a_receive_ends_before_what_is_in_flight() {
    let mut desk = Desk::with_queue(&[FIFO]);
    for id in ["1", "2", "3", "4"] {
        desk.send_fifo("q.fifo", "g", id);
    }
    let received = desk.try_receive(&receive_up_to("q.fifo", 3)).unwrap();
    for given_back in [0, 1] {
        desk.hide("q.fifo", &received[given_back].receipt_handle, 0).unwrap();
    }
    assert_eq!(desk.bodies("q.fifo"), ["1", "2"], "the fourth waits behind the third");
    desk.delete("q.fifo", &received[2].receipt_handle).unwrap();
    assert!(desk.receive("q.fifo").is_empty(), "and now behind the first two");
}

#[test]
fn a_dead_message_opens_nothing_behind_one_in_flight() {
    let mut desk = Desk::new();
    desk.create("d.fifo", &[FIFO]).unwrap();
    let policy =
        format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":1}}"#, desk.sqs.queue_arn("d.fifo"));
    desk.create("q.fifo", &[FIFO, ("RedrivePolicy", &policy)]).unwrap();
    for id in ["1", "2", "3"] {
        desk.send_fifo("q.fifo", "g", id);
    }
    let received = desk.try_receive(&receive_up_to("q.fifo", 2)).unwrap();
    desk.hide("q.fifo", &received[0].receipt_handle, 0).unwrap();
    assert!(desk.receive("q.fifo").is_empty());
    assert_eq!(desk.bodies("d.fifo"), ["1"]);
    desk.delete("q.fifo", &received[1].receipt_handle).unwrap();
    assert_eq!(desk.bodies("q.fifo"), ["3"]);
}

#[test]
fn a_failing_group_does_not_hold_up_others() {
    let mut desk = Desk::with_queue(&[FIFO]);
    desk.send_fifo("q.fifo", "poison", "p");
    desk.send_fifo("q.fifo", "good", "g");
    let one = receive_up_to("q.fifo", 1);
    let poison = desk.try_receive(&one).unwrap();
    assert_eq!(&*poison[0].body, "p");
    desk.pass(1);
    desk.hide("q.fifo", &poison[0].receipt_handle, 0).unwrap();
    assert_eq!(&*desk.try_receive(&one).unwrap()[0].body, "g");
}

#[test]
fn an_expired_handle_deletes_nothing() {
    let mut desk = Desk::with_queue(&[FIFO]);
    desk.send_fifo("q.fifo", "g", "1");
    let handle = desk.receive("q.fifo").remove(0).receipt_handle;
    desk.pass(30);
    let error = desk.delete("q.fifo", &handle).unwrap_err();
    assert_eq!(error.code, InvalidParameterValue);
    assert!(error.message.ends_with("Reason: The receipt handle has expired."));
    let fresh = desk.receive("q.fifo").remove(0).receipt_handle;
    assert_eq!(code(desk.delete("q.fifo", &handle)), InvalidParameterValue);
    desk.delete("q.fifo", &fresh).unwrap();
    desk.delete("q.fifo", &fresh).unwrap();
}

#[test]
fn a_repeated_id_is_dropped_for_five_minutes_even_if_deleted() {
    let mut desk = Desk::with_queue(&[FIFO]);
    let first = desk.send_fifo("q.fifo", "g", "d");
    let handle = desk.receive("q.fifo").remove(0).receipt_handle;
    desk.delete("q.fifo", &handle).unwrap();
    desk.pass(299);
    let second = desk.send_fifo("q.fifo", "other", "d");
    assert_eq!((&second.message_id, &second.sequence_number), (&first.message_id, &first.sequence_number));
    assert!(desk.states("q.fifo").is_empty());
    desk.pass(1);
    assert_ne!(desk.send_fifo("q.fifo", "g", "d").message_id, first.message_id);
    assert_eq!(desk.states("q.fifo").len(), 1);
}

#[test]
fn deduplication_per_group() {
    let mut desk = Desk::with_queue(&[FIFO, ("DeduplicationScope", "messageGroup")]);
    desk.send_fifo("q.fifo", "a", "d");
    desk.send_fifo("q.fifo", "b", "d");
    desk.send_fifo("q.fifo", "a", "d");
    assert_eq!(desk.states("q.fifo").len(), 2);
}

#[test]
fn deduplication_by_content_looks_at_the_body_alone() {
    let mut desk = Desk::with_queue(&[FIFO, BY_CONTENT]);
    let send = |desk: &mut Desk, body: &str, attribute: &str| {
        let value = drumline_queue::api::MessageAttributeValue::string(attribute);
        let request = SendMessage {
            message_group_id: Some("g".into()),
            message_attributes: [("n".to_owned(), value)].into(),
            ..message("q.fifo", body)
        };
        desk.try_send(request).unwrap()
    };
    send(&mut desk, "hello", "1");
    send(&mut desk, "hello", "2");
    send(&mut desk, "other", "1");
    let received = desk.receive("q.fifo");
    assert_eq!(received.len(), 2);
    assert_eq!(
        received[0].attributes.message_deduplication_id.as_deref(),
        Some("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
    );
}

#[test]
fn the_queues_delay_holds_and_changes_with_the_setting() {
    let mut desk = Desk::with_queue(&[FIFO, ("DelaySeconds", "100")]);
    desk.send_fifo("q.fifo", "g", "1");
    desk.pass(10);
    assert!(desk.receive("q.fifo").is_empty());
    let attributes = [("DelaySeconds".to_owned(), "20".to_owned())].into();
    let request = SetQueueAttributes { queue_url: "q.fifo".into(), attributes };
    desk.sqs.set_queue_attributes(desk.now, &request).unwrap();
    desk.pass(9);
    assert!(desk.receive("q.fifo").is_empty());
    desk.pass(1);
    assert_eq!(desk.receive("q.fifo").len(), 1);
}

#[test]
fn a_receive_attempt_id_is_checked_and_otherwise_ignored() {
    let mut desk = Desk::with_queue(&[FIFO]);
    desk.send_fifo("q.fifo", "g", "1");
    let with = |id: &str| ReceiveMessage {
        receive_request_attempt_id: Some(id.into()),
        ..receive_up_to("q.fifo", 1)
    };
    assert_eq!(code(desk.try_receive(&with("a b"))), InvalidParameterValue);
    assert_eq!(desk.try_receive(&with("attempt")).unwrap().len(), 1);
    assert!(desk.try_receive(&with("attempt")).unwrap().is_empty());
}
