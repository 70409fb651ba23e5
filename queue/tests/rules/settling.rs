//! The operations that a receipt handle allows, and for how long.

use drumline_queue::ErrorCode::*;
use drumline_queue::MessageState;
use drumline_queue::api::{
    ChangeMessageVisibility, ChangeMessageVisibilityBatch, ChangeMessageVisibilityBatchEntry,
    DeleteMessageBatch, DeleteMessageBatchEntry,
};

use crate::{Desk, code};

/// Returns a desk whose queue has one message in flight, and that receive's handle.
fn in_flight(attributes: &[(&str, &str)]) -> (Desk, String) {
    let mut desk = Desk::with_queue(attributes);
    desk.send("q", "x");
    let handle = desk.receive("q").remove(0).receipt_handle;
    (desk, handle)
}

#[test]
fn deleting_is_final_and_may_be_repeated() {
    let (mut desk, handle) = in_flight(&[]);
    desk.delete("q", &handle).unwrap();
    desk.delete("q", &handle).unwrap();
    desk.pass(60);
    assert!(desk.receive("q").is_empty());
}

#[test]
fn a_handle_outlives_the_visibility_without_another_receive() {
    let (mut desk, handle) = in_flight(&[]);
    desk.pass(31);
    desk.delete("q", &handle).unwrap();
    assert!(desk.states("q").is_empty());
}

#[test]
fn a_stale_handle_deletes_nothing_and_says_nothing() {
    let (mut desk, stale) = in_flight(&[]);
    desk.pass(30);
    let fresh = desk.receive("q").remove(0).receipt_handle;
    assert_ne!(stale, fresh);
    desk.delete("q", &stale).unwrap();
    assert_eq!(desk.states("q").len(), 1);
    assert!(desk.receive("q").is_empty(), "the holder keeps the message");
    desk.delete("q", &fresh).unwrap();
    assert!(desk.states("q").is_empty());
}

#[test]
fn a_stale_handle_changes_the_visibility_on_a_standard_queue() {
    let (mut desk, stale) = in_flight(&[]);
    desk.pass(30);
    let fresh = desk.receive("q").remove(0).receipt_handle;
    desk.hide("q", &stale, 0).unwrap();
    assert_eq!(desk.states("q"), [MessageState::Visible], "a worker that has lost it releases it");
    let third = desk.receive("q").remove(0).receipt_handle;
    desk.hide("q", &fresh, 60).unwrap();
    desk.pass(59);
    assert!(desk.receive("q").is_empty());
    desk.delete("q", &third).unwrap();
    assert!(desk.states("q").is_empty());
}

#[test]
fn what_is_no_handle_of_this_queue() {
    let (mut desk, handle) = in_flight(&[]);
    desk.create("other", &[]).unwrap();
    for (queue, handle) in [("q", "x"), ("q", ""), ("other", handle.as_str())] {
        assert_eq!(code(desk.delete(queue, handle)), ReceiptHandleIsInvalid);
        assert_eq!(code(desk.hide(queue, handle, 1)), ReceiptHandleIsInvalid);
    }
    assert_eq!(code(desk.delete("absent", &handle)), QueueDoesNotExist);
}

#[test]
fn visibility_counts_from_now() {
    let (mut desk, handle) = in_flight(&[]);
    desk.pass(20);
    desk.hide("q", &handle, 30).unwrap();
    desk.pass(29);
    assert!(desk.receive("q").is_empty());
    desk.pass(1);
    assert_eq!(desk.receive("q").len(), 1);
}

#[test]
fn zero_shows_the_message_at_once() {
    let (mut desk, handle) = in_flight(&[]);
    desk.hide("q", &handle, 0).unwrap();
    assert_eq!(desk.states("q"), [MessageState::Visible]);
    assert_eq!(desk.receive("q").len(), 1);
}

#[test]
fn a_lapsed_visibility_is_renewed_until_the_next_receive() {
    let (mut desk, handle) = in_flight(&[]);
    desk.pass(30);
    assert_eq!(desk.states("q"), [MessageState::Visible]);
    desk.hide("q", &handle, 10).unwrap();
    assert!(desk.receive("q").is_empty());
    desk.pass(10);
    desk.hide("q", &handle, 0).unwrap();
    assert_eq!(desk.receive("q").len(), 1);
}

#[test]
fn a_deleted_messages_visibility_cannot_be_changed() {
    let (mut desk, handle) = in_flight(&[]);
    desk.delete("q", &handle).unwrap();
    assert_eq!(code(desk.hide("q", &handle, 10)), InvalidParameterValue);
}

#[test]
fn twelve_hours_in_all() {
    let (mut desk, handle) = in_flight(&[("VisibilityTimeout", "60")]);
    desk.hide("q", &handle, 43_200).unwrap();
    desk.pass(1);
    let error = desk.hide("q", &handle, 43_200).unwrap_err();
    assert_eq!(error.code, InvalidParameterValue);
    assert_eq!(
        error.message,
        "Value 43200 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is \
         beyond the limit [43200 seconds]"
    );
    desk.hide("q", &handle, 43_199).unwrap();
    desk.pass(43_199);
    assert_eq!(desk.states("q"), [MessageState::Visible]);
    // The next receive has its own limit.
    let handle = desk.receive("q").remove(0).receipt_handle;
    desk.hide("q", &handle, 43_200).unwrap();
}

#[test]
fn visibility_values() {
    let (mut desk, handle) = in_flight(&[]);
    for secs in [-1, 43_201] {
        assert_eq!(code(desk.hide("q", &handle, secs)), InvalidParameterValue, "{secs}");
    }
    let none =
        ChangeMessageVisibility { queue_url: "q".into(), receipt_handle: handle, visibility_timeout: None };
    assert_eq!(code(desk.sqs.change_message_visibility(desk.now, &none)), MissingParameter);
}

#[test]
fn batches_answer_entry_by_entry() {
    let (mut desk, handle) = in_flight(&[]);
    let hide = |id: &str, handle: &str, secs| ChangeMessageVisibilityBatchEntry {
        id: id.into(),
        receipt_handle: handle.into(),
        visibility_timeout: Some(secs),
    };
    let entries = vec![hide("good", &handle, 5), hide("far", &handle, 43_201), hide("bad", "x", 5)];
    let request = ChangeMessageVisibilityBatch { queue_url: "q".into(), entries };
    let reply = desk.sqs.change_message_visibility_batch(desk.now, request).unwrap();
    assert_eq!(reply.successful[0].id, "good");
    let failed: Vec<_> =
        reply.failed.iter().map(|f| (f.id.as_str(), f.code.as_str(), f.sender_fault)).collect();
    assert_eq!(failed, [("far", "InvalidParameterValue", true), ("bad", "ReceiptHandleIsInvalid", true)]);

    let delete =
        |id: &str, handle: &str| DeleteMessageBatchEntry { id: id.into(), receipt_handle: handle.into() };
    let entries = vec![delete("0", &handle), delete("1", "x"), delete("2", &handle)];
    let request = DeleteMessageBatch { queue_url: "q".into(), entries };
    let reply = desk.sqs.delete_message_batch(desk.now, request).unwrap();
    assert_eq!(reply.successful.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(), ["0", "2"]);
    assert_eq!(reply.failed[0].code, "ReceiptHandleIsInvalid");
    assert!(desk.states("q").is_empty());
}

#[test]
fn batches_as_a_whole() {
    let (mut desk, handle) = in_flight(&[]);
    let batch = |ids: &[String]| DeleteMessageBatch {
        queue_url: "q".into(),
        entries: ids
            .iter()
            .map(|id| DeleteMessageBatchEntry { id: id.clone(), receipt_handle: handle.clone() })
            .collect(),
    };
    let eleven: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    for (ids, expected) in [
        (vec![], EmptyBatchRequest),
        (eleven, TooManyEntriesInBatchRequest),
        (vec!["a".into(), "a".into()], BatchEntryIdsNotDistinct),
        (vec!["a b".into()], InvalidBatchEntryId),
    ] {
        assert_eq!(code(desk.sqs.delete_message_batch(desk.now, batch(&ids))), expected);
    }
    let none = ChangeMessageVisibilityBatch { queue_url: "q".into(), entries: vec![] };
    assert_eq!(code(desk.sqs.change_message_visibility_batch(desk.now, none)), EmptyBatchRequest);
    assert_eq!(desk.states("q").len(), 1);
}
