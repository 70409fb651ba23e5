//! Message move tasks: move a dead-letter queue's messages back.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// [StartMessageMoveTask](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StartMessageMoveTask {
    /// The dead-letter queue's ARN.
    pub source_arn: String,
    /// The destination; by default each message's own source queue.
    pub destination_arn: Option<String>,
    /// 1 to 500 messages a second; by default as fast as SQS allows (500).
    pub max_number_of_messages_per_second: Option<i64>,
}

/// The reply to [`StartMessageMoveTask`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StartMessageMoveTaskReply {
    /// The task's handle, which is needed to cancel it.
    pub task_handle: String,
}

/// [CancelMessageMoveTask](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CancelMessageMoveTask.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CancelMessageMoveTask {
    /// The task to stop.
    pub task_handle: String,
}

/// The reply to [`CancelMessageMoveTask`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CancelMessageMoveTaskReply {
    /// The number of messages moved before the cancellation. They stay moved.
    pub approximate_number_of_messages_moved: u64,
}

/// [ListMessageMoveTasks](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListMessageMoveTasks.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListMessageMoveTasks {
    /// The dead-letter queue's ARN.
    pub source_arn: String,
    /// At most this many, 1 to 10; 1 when absent.
    pub max_results: Option<i64>,
}

/// The reply to [`ListMessageMoveTasks`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListMessageMoveTasksReply {
    /// The newest first.
    pub results: Vec<ListedMoveTask>,
}

/// One task, as listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListedMoveTask {
    /// Shown only while the task runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_handle: Option<String>,
    /// The task's status.
    pub status: MoveTaskStatus,
    /// The dead-letter queue's ARN.
    pub source_arn: String,
    /// The destination, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_arn: Option<String>,
    /// The rate, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_number_of_messages_per_second: Option<i64>,
    /// Messages moved so far.
    pub approximate_number_of_messages_moved: u64,
    /// Messages that were there when the task was started.
    pub approximate_number_of_messages_to_move: u64,
    /// The reason of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// The time when the task was started.
    pub started_timestamp: Timestamp,
}

/// The status of a move task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MoveTaskStatus {
    /// Moving messages.
    Running,
    /// All messages were moved.
    Completed,
    /// Stopped by `CancelMessageMoveTask`.
    Cancelled,
    /// Stopped by a message that could not be moved; see the failure reason.
    Failed,
}
