//! The rows of an outbox, for people.

use std::time::Duration;

use super::job::OutboxJob;

/// The number and age of an outbox's jobs that are not sent yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Lag {
    /// The jobs that are due and not sent, including those that were put back.
    pub due: u64,
    /// The time since the oldest due job was first due.
    pub oldest: Duration,
    /// The jobs that are due later.
    pub later: u64,
    /// The jobs that cannot be sent.
    pub parked: u64,
}

impl Lag {
    /// Creates a lag.
    pub fn new(due: u64, oldest: Duration, later: u64, parked: u64) -> Self {
        Self { due, oldest, later, parked }
    }
}

/// The rows to read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rows {
    /// Only rows of this state; `None` for all.
    pub state: Option<RowState>,
    /// Only rows of these jobs; `None` for all.
    pub ids: Option<Vec<String>>,
    /// The largest number of rows.
    pub limit: usize,
}

impl Rows {
    /// Selects rows of a state, or all rows.
    pub fn new(state: Option<RowState>, limit: usize) -> Self {
        Self { state, ids: None, limit }
    }

    /// Selects the rows of these jobs in any state.
    pub fn of(ids: Vec<String>) -> Self {
        Self { state: None, limit: ids.len(), ids: Some(ids) }
    }
}

/// The state of a job in an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowState {
    /// It waits, or a relay is sending it.
    Waiting,
    /// It cannot be sent.
    Parked,
    /// It was sent, and is kept for a while.
    Sent,
}

/// A job of an outbox, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxRow {
    /// The job.
    pub job: OutboxJob,
    /// Its state.
    pub state: RowState,
    /// The time at which it was added, in milliseconds since the Unix epoch.
    pub added_ms: i64,
    /// The time at which it is due, in milliseconds since the Unix epoch.
    pub due_ms: i64,
    /// The time at which it was sent.
    pub sent_ms: Option<i64>,
    /// The id that SQS gave to the message.
    pub message_id: Option<String>,
    /// The reason why it is parked, or why it was last put back.
    pub reason: Option<String>,
    /// The number of times it was put back after a failure to send it.
    pub failures: u32,
}

impl OutboxRow {
    /// Creates the row of a waiting job.
    pub fn waiting(job: OutboxJob, added_ms: i64, due_ms: i64) -> Self {
        Self {
            job,
            state: RowState::Waiting,
            added_ms,
            due_ms,
            sent_ms: None,
            message_id: None,
            reason: None,
            failures: 0,
        }
    }
}
