//! The times by which a taken job has to be sent.

use std::time::Duration;

use tokio::time::Instant;

/// The times by which a taken job has to be sent.
///
/// They count from before the outbox was asked for the job, by the monotonic clock, so that its lease ends later than they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline {
    /// From then on no request with the job begins.
    pub(super) leave_by: Instant,
    /// From then on no answer is waited for.
    pub(super) ends: Instant,
}

impl Deadline {
    /// Those of a lease that lasts for `left` from a time after `asked_at`. A third of it is left for the request, a tenth for the
    /// way of the conclusion to the outbox.
    pub(super) fn of(asked_at: Instant, left: Duration) -> Self {
        Self { leave_by: asked_at + left - left / 3, ends: asked_at + left - left / 10 }
    }
}
