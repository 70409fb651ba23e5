//! A job of an outbox in memory.

use crate::outbox::job::OutboxJob;
use crate::outbox::rows::{OutboxRow, RowState};

#[derive(Debug)]
pub(super) struct Row {
    pub(super) job: OutboxJob,
    pub(super) state: RowState,
    pub(super) added_ms: i64,
    /// The time for which the job itself is scheduled.
    pub(super) due_ms: i64,
    /// The time until which it was put back; until then it blocks later rows of its group.
    pub(super) put_back_until_ms: i64,
    pub(super) taken: Option<Taken>,
    /// True after a relay has taken it: it may have been sent, even if it waits again.
    pub(super) was_taken: bool,
    pub(super) sent_ms: Option<i64>,
    pub(super) message_id: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) failures: u32,
    pub(super) unique_key: Option<String>,
}

/// A relay's hold on a row.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) relay: String,
    pub(super) fencing_token: i64,
    pub(super) until_ms: i64,
}

impl Row {
    pub(super) fn new(job: OutboxJob, now_ms: i64, due_ms: i64) -> Self {
        Self {
            job,
            state: RowState::Waiting,
            added_ms: now_ms,
            due_ms,
            put_back_until_ms: 0,
            taken: None,
            was_taken: false,
            sent_ms: None,
            message_id: None,
            reason: None,
            failures: 0,
            unique_key: None,
        }
    }

    /// Returns the row for people.
    pub(super) fn shown(&self) -> OutboxRow {
        OutboxRow {
            state: self.state,
            sent_ms: self.sent_ms,
            message_id: self.message_id.clone(),
            reason: self.reason.clone(),
            failures: self.failures,
            ..OutboxRow::waiting(self.job.clone(), self.added_ms, self.due_ms.max(self.put_back_until_ms))
        }
    }
}
