//! Message move tasks.

use drumline_queue::ErrorCode::*;
use drumline_queue::SqsError;
use drumline_queue::api::{
    CancelMessageMoveTask, ListMessageMoveTasks, ListedMoveTask, MoveTaskStatus, OneQueue,
    StartMessageMoveTask,
};

use crate::{Desk, code};

const ARN: &str = "arn:aws:sqs:us-east-1:000000000000";

/// Creates queue `q` with dead-letter queue `d`, and moves `count` messages from `q` to `d`.
fn desk(count: usize) -> Desk {
    let mut desk = Desk::new();
    desk.create("d", &[]).unwrap();
    let policy = format!(r#"{{"deadLetterTargetArn":"{ARN}:d","maxReceiveCount":1}}"#);
    desk.create("q", &[("RedrivePolicy", &policy), ("VisibilityTimeout", "0")]).unwrap();
    for number in 0..count {
        desk.send("q", &number.to_string());
    }
    for _ in 0..=count.div_ceil(10) * 2 {
        desk.receive("q");
    }
    assert_eq!(desk.states("d").len(), count);
    desk
}

fn start(desk: &mut Desk, destination: Option<&str>, rate: Option<i64>) -> Result<String, SqsError> {
    let request = StartMessageMoveTask {
        source_arn: format!("{ARN}:d"),
        destination_arn: destination.map(|name| format!("{ARN}:{name}")),
        max_number_of_messages_per_second: rate,
    };
    desk.sqs.start_message_move_task(desk.now, request).map(|reply| reply.task_handle)
}

fn newest(desk: &mut Desk) -> ListedMoveTask {
    let request = ListMessageMoveTasks { source_arn: format!("{ARN}:d"), max_results: None };
    desk.sqs.list_message_move_tasks(desk.now, &request).unwrap().results.remove(0)
}

#[test]
fn messages_go_back_as_new_ones_at_the_rate_asked_for() {
    let mut desk = desk(4);
    let ids: Vec<_> = desk.sqs.peek(desk.now, "d").unwrap().into_iter().map(|m| m.message_id).collect();
    let handle = start(&mut desk, None, Some(2)).unwrap();
    assert_eq!(desk.sqs.next_change("q"), Some(desk.now.plus(std::time::Duration::from_millis(500))));
    desk.pass(1);
    assert_eq!(desk.states("q").len(), 2);
    let task = newest(&mut desk);
    assert_eq!(task.task_handle, Some(handle));
    assert_eq!(task.status, MoveTaskStatus::Running);
    assert_eq!(
        (task.approximate_number_of_messages_moved, task.approximate_number_of_messages_to_move),
        (2, 4)
    );
    desk.pass(1);
    let task = newest(&mut desk);
    assert_eq!((task.status, task.task_handle), (MoveTaskStatus::Completed, None));
    assert!(desk.states("d").is_empty());

    let moved = desk.sqs.peek(desk.now, "q").unwrap();
    assert_eq!(moved.iter().map(|message| &*message.body).collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    for message in moved {
        assert!(!ids.contains(&message.message_id));
        assert_eq!((message.receive_count, message.dead_letter_source_arn), (0, None));
        assert!(message.first_received_at.is_none());
    }
}

#[test]
fn a_destination_takes_every_message() {
    let mut desk = desk(1);
    desk.create("elsewhere", &[]).unwrap();
    desk.send("d", "sent here by hand");
    start(&mut desk, Some("elsewhere"), None).unwrap();
    desk.pass(1);
    assert_eq!(desk.states("elsewhere").len(), 2);
    assert_eq!(newest(&mut desk).status, MoveTaskStatus::Completed);
}

#[test]
fn a_message_without_a_source_fails_the_task_and_stays() {
    let mut desk = desk(1);
    desk.pass(1);
    desk.send("d", "sent here by hand");
    start(&mut desk, None, None).unwrap();
    desk.pass(1);
    let task = newest(&mut desk);
    assert_eq!(task.status, MoveTaskStatus::Failed);
    assert_eq!(task.failure_reason.as_deref(), Some("CouldNotDetermineMessageSource"));
    // In the form that SDKs and the AWS CLI read.
    assert_eq!(serde_json::to_value(&task).unwrap()["FailureReason"], "CouldNotDetermineMessageSource");
    assert_eq!(task.approximate_number_of_messages_moved, 1);
    assert_eq!(desk.states("d").len(), 1);
}

#[test]
fn a_deleted_source_fails_the_task() {
    let mut desk = desk(1);
    let policy = format!(r#"{{"deadLetterTargetArn":"{ARN}:d","maxReceiveCount":1}}"#);
    desk.create("still-a-source", &[("RedrivePolicy", &policy)]).unwrap();
    desk.sqs.delete_queue(desk.now, &OneQueue { queue_url: "q".into() }).unwrap();
    start(&mut desk, None, None).unwrap();
    desk.pass(1);
    let task = newest(&mut desk);
    assert_eq!(task.failure_reason.as_deref(), Some("AWS.SimpleQueueService.NonExistentQueue"));
    assert_eq!(desk.states("d").len(), 1);
}

#[test]
fn what_cannot_be_started() {
    let mut desk = desk(2);
    desk.create("f.fifo", &[("FifoQueue", "true")]).unwrap();
    assert_eq!(code(start(&mut desk, Some("absent"), None)), ResourceNotFound);
    assert_eq!(code(start(&mut desk, Some("d"), None)), InvalidParameterValue);
    assert_eq!(code(start(&mut desk, Some("f.fifo"), None)), InvalidParameterValue);
    for rate in [0, 501] {
        assert_eq!(code(start(&mut desk, None, Some(rate))), InvalidParameterValue);
    }
    for (source, expected) in [("q", InvalidParameterValue), ("absent", ResourceNotFound)] {
        let request = StartMessageMoveTask { source_arn: format!("{ARN}:{source}"), ..Default::default() };
        assert_eq!(code(desk.sqs.start_message_move_task(desk.now, request)), expected);
    }
    start(&mut desk, None, Some(1)).unwrap();
    assert_eq!(code(start(&mut desk, None, None)), InvalidParameterValue, "one at a time");
}

#[test]
fn cancelling_keeps_what_was_moved() {
    let mut desk = desk(3);
    let task_handle = start(&mut desk, None, Some(1)).unwrap();
    desk.pass(2);
    let request = CancelMessageMoveTask { task_handle };
    let reply = desk.sqs.cancel_message_move_task(desk.now, &request).unwrap();
    assert_eq!(reply.approximate_number_of_messages_moved, 2);
    desk.pass(10);
    assert_eq!((desk.states("q").len(), desk.states("d").len()), (2, 1));
    assert_eq!(newest(&mut desk).status, MoveTaskStatus::Cancelled);
    assert_eq!(code(desk.sqs.cancel_message_move_task(desk.now, &request)), UnsupportedOperation);
    let nonsense = CancelMessageMoveTask { task_handle: "x".into() };
    assert_eq!(code(desk.sqs.cancel_message_move_task(desk.now, &nonsense)), InvalidParameterValue);
    // {"taskId":"t","sourceArn":"a"}
    let unknown = CancelMessageMoveTask { task_handle: "eyJ0YXNrSWQiOiJ0Iiwic291cmNlQXJuIjoiYSJ9".into() };
    assert_eq!(code(desk.sqs.cancel_message_move_task(desk.now, &unknown)), ResourceNotFound);
}

#[test]
fn the_ten_newest_tasks_are_remembered() {
    let mut desk = desk(0);
    for _ in 0..12 {
        start(&mut desk, None, None).unwrap();
        desk.pass(1);
    }
    let mut list = |max_results| {
        let request = ListMessageMoveTasks { source_arn: format!("{ARN}:d"), max_results };
        desk.sqs.list_message_move_tasks(desk.now, &request).map(|reply| reply.results)
    };
    let all = list(Some(10)).unwrap();
    assert_eq!(all.len(), 10);
    assert!(all[0].started_timestamp > all[9].started_timestamp);
    assert_eq!(list(None).unwrap().len(), 1);
    for max_results in [0, 11, -1] {
        assert_eq!(code(list(Some(max_results))), InvalidParameterValue);
    }
}
