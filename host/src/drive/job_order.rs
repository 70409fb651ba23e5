//! An operator's order about one job, and its answer.

use tokio::sync::oneshot;

/// An order about one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobOrder {
    /// The job's id.
    pub job_id: String,
    /// The ids of the messages that it came in.
    pub message_ids: Vec<String>,
    /// The requested action.
    pub action: JobAction,
}

/// An action on a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobAction {
    /// If it waits hidden for its next attempt, it becomes visible now.
    Retry,
    /// It fails permanently.
    Cancel {
        /// The reason, with who asks for it.
        reason: String,
    },
}

/// The result of an order about a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobAnswer {
    /// It is not known here. A cancelled one does not run here if it is received later.
    Unknown,
    /// It runs, so there is nothing to retry.
    Running,
    /// It waits in hand and starts by itself, so there is nothing to retry.
    InHand,
    /// Its message is visible.
    MadeVisible,
    /// Its run is cancelled.
    RunCancelled,
    /// It has not run, and will not.
    Cancelled,
    /// SQS or the store has not done what is needed.
    Failed(String),
}

/// An order, and where its answer goes.
pub(crate) struct JobRequest {
    pub(super) order: JobOrder,
    pub(super) answer: oneshot::Sender<JobAnswer>,
}
