//! The times of a drain, and its summary.

use std::time::{Duration, Instant};

use crate::core::control::STOP_TIME;

/// The time for aborted runs and last calls. After it the process ends in any case.
pub(super) const LAST_CALLS: Duration = Duration::from_secs(2);

/// The maximum time of a drain after running handlers were cancelled: the time that they have to stop, and that of the last
/// calls.
pub const SETTLE_TIME: Duration = STOP_TIME.saturating_add(LAST_CALLS);

/// The part of a drain's time that is reserved for deletes of done jobs that the store does not mark.
const TIME_TO_DELETE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Drain {
    pub(super) cancel_at: Instant,
    pub(super) end_at: Instant,
    pub(super) cancelled: bool,
    /// The messages that waited for a run that does not stop were released.
    pub(super) emptied: bool,
    pub(super) over: bool,
    pub(super) counts: DrainSummary,
}

/// The summary of a drain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DrainSummary {
    /// Runs that ended by themselves during the drain.
    pub drained: usize,
    /// Deliveries that were released.
    pub released: usize,
    /// Deliveries left behind, still running or without SQS's confirmation. Their leases expire.
    pub abandoned: usize,
}

impl Drain {
    pub(super) fn new(cancel_at: Instant, end_at: Instant) -> Self {
        let counts = DrainSummary::default();
        Self { cancel_at, end_at, cancelled: false, emptied: false, over: false, counts }
    }

    pub(super) fn timeout(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        Some(match (self.cancelled, self.emptied) {
            (false, _) => self.cancel_at.min(self.end_at),
            (true, false) => self.empty_at().min(self.end_at),
            (true, true) => self.end_at,
        })
    }

    /// The latest time at which a done job waits for its mark, so that its message can be deleted before the end.
    pub(super) fn last_mark(&self) -> Instant {
        self.end_at.checked_sub(TIME_TO_DELETE).unwrap_or(self.end_at)
    }

    /// The time at which cancelled runs should have stopped.
    pub(super) fn empty_at(&self) -> Instant {
        self.cancel_at + STOP_TIME
    }
}
