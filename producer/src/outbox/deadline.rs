//! The deadlines of a taken job.

use std::time::Duration;

use tokio::time::Instant;

/// The deadlines of a taken job.
///
/// They count from before the outbox was asked for the job, on the monotonic clock, so that its lease ends after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline {
    /// The time after which no request with the job begins.
    pub(super) leave_by: Instant,
    /// The time after which no response is awaited.
    pub(super) ends: Instant,
}

impl Deadline {
    /// Returns the deadlines for a lease that lasts for `left` from a time after `asked_at`. A third of it is reserved for the
    /// request, a tenth for sending the conclusion to the outbox.
    pub(super) fn of(asked_at: Instant, left: Duration) -> Self {
        Self { leave_by: asked_at + left - left / 3, ends: asked_at + left - left / 10 }
    }
}
