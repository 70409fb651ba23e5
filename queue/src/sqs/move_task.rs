//! A message move task.

use std::time::Duration;

use crate::api::{ListedMoveTask, MoveTaskStatus};
use crate::limits::MOVE_RATE;
use crate::time::Timestamp;

/// A task, running or finished.
#[derive(Debug)]
pub(super) struct MoveTask {
    pub(super) handle: String,
    pub(super) source_arn: String,
    pub(super) destination_arn: Option<String>,
    pub(super) rate: Option<i64>,
    pub(super) started_at: Timestamp,
    pub(super) moved: u64,
    pub(super) to_move: u64,
    pub(super) status: MoveTaskStatus,
    pub(super) failure: Option<String>,
}

impl MoveTask {
    pub(super) fn is_running(&self) -> bool {
        self.status == MoveTaskStatus::Running
    }

    /// Returns the time when the next message is due: message n moves n intervals after the start.
    pub(super) fn next_move_at(&self) -> Option<Timestamp> {
        let rate = self.rate.unwrap_or(*MOVE_RATE.end()).unsigned_abs();
        let due = Duration::from_millis(((self.moved + 1) * 1000).div_ceil(rate));
        self.is_running().then(|| self.started_at.plus(due))
    }

    pub(super) fn fail(&mut self, reason: &str) {
        self.status = MoveTaskStatus::Failed;
        self.failure = Some(reason.to_owned());
    }

    pub(super) fn listed(&self) -> ListedMoveTask {
        ListedMoveTask {
            task_handle: self.is_running().then(|| self.handle.clone()),
            status: self.status,
            source_arn: self.source_arn.clone(),
            destination_arn: self.destination_arn.clone(),
            max_number_of_messages_per_second: self.rate,
            approximate_number_of_messages_moved: self.moved,
            approximate_number_of_messages_to_move: self.to_move,
            failure_reason: self.failure.clone(),
            started_timestamp: self.started_at,
        }
    }
}
