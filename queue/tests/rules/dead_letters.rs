//! The automatic move to the dead-letter queue.

use drumline_queue::ErrorCode::*;
use drumline_queue::api::{
    ListDeadLetterSourceQueues, MessageAttributeValue, OneQueue, SendMessage, SetQueueAttributes,
};

use crate::{Desk, code, message};

const ARN: &str = "arn:aws:sqs:us-east-1:000000000000";

fn policy(target: &str, max_receive_count: &str) -> String {
    format!(r#"{{"deadLetterTargetArn":"{ARN}:{target}","maxReceiveCount":{max_receive_count}}}"#)
}

/// Creates queues `q` and `q-dlq`; messages move at the third receive and are visible again at once.
fn desk() -> Desk {
    let mut desk = Desk::new();
    desk.create("q-dlq", &[]).unwrap();
    let attributes = [("RedrivePolicy", &*policy("q-dlq", "2")), ("VisibilityTimeout", "1")];
    desk.create("q", &attributes).unwrap();
    desk
}

fn receive_twice(desk: &mut Desk, queue: &str) {
    for _ in 0..2 {
        assert_eq!(desk.receive(queue).len(), 1);
        desk.pass(1);
    }
}

#[test]
fn the_move_happens_at_the_receive_after_the_last() {
    let mut desk = desk();
    let message_attributes = [("n".to_owned(), MessageAttributeValue::string("v"))].into();
    let sent = desk.try_send(SendMessage { message_attributes, ..message("q", "x") }).unwrap();
    let sent_at = desk.now;
    receive_twice(&mut desk, "q");
    assert_eq!(desk.states("q").len(), 1, "it stays in the queue until a receive");
    assert!(desk.receive("q").is_empty());
    assert!(desk.states("q").is_empty());

    let dead = desk.receive("q-dlq").remove(0);
    assert_eq!(dead.message_id, sent.message_id);
    assert_eq!(dead.message_attributes["n"].string_value.as_deref(), Some("v"));
    assert_eq!(dead.attributes.sent_timestamp, Some(sent_at));
    assert_eq!(dead.attributes.approximate_receive_count, Some(3));
    assert_eq!(dead.attributes.dead_letter_queue_source_arn.as_deref(), Some(&*format!("{ARN}:q")));
}

#[test]
fn one_receive_passes_over_the_dead_to_the_living() {
    let mut desk = desk();
    desk.send("q", "dead");
    receive_twice(&mut desk, "q");
    desk.send("q", "living");
    assert_eq!(desk.bodies("q"), ["living"]);
    assert_eq!(desk.bodies("q-dlq"), ["dead"]);
}

#[test]
fn the_dead_keep_their_age() {
    let mut desk = desk();
    let attributes = [("MessageRetentionPeriod".to_owned(), "60".to_owned())].into();
    let request = SetQueueAttributes { queue_url: "q-dlq".into(), attributes };
    desk.sqs.set_queue_attributes(desk.now, &request).unwrap();
    desk.send("q", "x");
    receive_twice(&mut desk, "q");
    desk.receive("q");
    desk.pass(57);
    assert_eq!(desk.states("q-dlq").len(), 1);
    desk.pass(1);
    assert!(desk.states("q-dlq").is_empty());
}

#[test]
fn a_handle_of_the_source_is_none_of_the_dead_letter_queue() {
    let mut desk = desk();
    desk.send("q", "x");
    let handle = desk.receive("q").remove(0).receipt_handle;
    desk.pass(1);
    desk.receive("q");
    desk.pass(1);
    desk.receive("q");
    desk.delete("q", &handle).unwrap();
    assert_eq!(desk.states("q-dlq").len(), 1);
    assert_eq!(code(desk.delete("q-dlq", &handle)), ReceiptHandleIsInvalid);
}

#[test]
fn a_fifo_message_keeps_its_group_and_starts_its_age_again() {
    let mut desk = Desk::new();
    let fifo = ("FifoQueue", "true");
    desk.create("d.fifo", &[fifo]).unwrap();
    let redrive = policy("d.fifo", "2");
    desk.create("s.fifo", &[fifo, ("RedrivePolicy", &redrive), ("VisibilityTimeout", "1")]).unwrap();
    let sent = desk.send_fifo("s.fifo", "g", "1");
    receive_twice(&mut desk, "s.fifo");
    desk.send_fifo("s.fifo", "g", "2");
    assert_eq!(desk.bodies("s.fifo"), ["2"], "the group continues without it");
    let dead = desk.receive("d.fifo").remove(0);
    assert_eq!(dead.message_id, sent.message_id);
    assert_eq!(dead.attributes.message_group_id.as_deref(), Some("g"));
    assert_eq!(dead.attributes.message_deduplication_id.as_deref(), Some(&*sent.message_id));
    assert_eq!(dead.attributes.sent_timestamp, Some(desk.now));
}

#[test]
fn without_its_dead_letter_queue_a_message_stays() {
    let mut desk = desk();
    desk.send("q", "x");
    receive_twice(&mut desk, "q");
    desk.sqs.delete_queue(desk.now, &OneQueue { queue_url: "q-dlq".into() }).unwrap();
    assert_eq!(desk.receive("q")[0].attributes.approximate_receive_count, Some(3));
}

#[test]
fn policies_that_cannot_be() {
    let fifo = ("FifoQueue", "true");
    let deny = ("RedriveAllowPolicy", r#"{"redrivePermission":"denyAll"}"#);
    let others = format!(r#"{{"redrivePermission":"byQueue","sourceQueueArns":["{ARN}:other"]}}"#);
    let mine = format!(r#"{{"redrivePermission":"byQueue","sourceQueueArns":["{ARN}:q"]}}"#);
    let mut desk = Desk::new();
    desk.create("plain", &[]).unwrap();
    desk.create("ordered.fifo", &[fifo]).unwrap();
    desk.create("closed", &[deny]).unwrap();
    desk.create("theirs", &[("RedriveAllowPolicy", &others)]).unwrap();
    desk.create("ours", &[("RedriveAllowPolicy", &mine)]).unwrap();
    let refused = [
        policy("absent", "3"),
        policy("ordered.fifo", "3"),
        policy("closed", "3"),
        policy("theirs", "3"),
        policy("plain", "0"),
        policy("plain", "1001"),
        "nonsense".to_owned(),
        r#"{"deadLetterTargetArn":"plain","maxReceiveCount":3}"#.to_owned(),
    ];
    for text in refused {
        assert_eq!(code(desk.create("q", &[("RedrivePolicy", &text)])), InvalidParameterValue, "{text}");
    }
    desk.create("q", &[("RedrivePolicy", &policy("ours", "3"))]).unwrap();
    desk.create("r", &[("RedrivePolicy", &policy("plain", "\"3\""))]).unwrap();
}

#[test]
fn an_empty_policy_ends_it() {
    let mut desk = desk();
    let attributes = [("RedrivePolicy".to_owned(), String::new())].into();
    desk.sqs
        .set_queue_attributes(desk.now, &SetQueueAttributes { queue_url: "q".into(), attributes })
        .unwrap();
    desk.send("q", "x");
    receive_twice(&mut desk, "q");
    assert_eq!(desk.receive("q").len(), 1);
}

#[test]
fn sources_are_listed() {
    let desk = desk();
    let list = |queue: &str| {
        let request = ListDeadLetterSourceQueues { queue_url: queue.into(), ..Default::default() };
        desk.sqs.list_dead_letter_source_queues(&request).map(|reply| reply.queue_urls)
    };
    assert_eq!(list("q-dlq").unwrap(), ["http://localhost/000000000000/q"]);
    assert!(list("q").unwrap().is_empty());
    assert_eq!(code(list("absent")), QueueDoesNotExist);
}
