//! A run whose handler has succeeded, while its job is being marked as done in the store. Its message stays in hand and is
//! renewed as long as the store does not answer. See ADR 0011.

use std::time::{Duration, Instant};

use crate::core::claim_lease::Waits;
use crate::core::retry::Jitter;
use crate::core::run_report::RunReport;

/// A mark without an answer for this long is requested again: repeating it is harmless.
const MARK_PATIENCE: Duration = Duration::from_secs(5);

/// The state of a mark.
#[derive(Debug)]
pub(crate) struct Marking {
    /// The run's report.
    pub(crate) report: RunReport,
    /// The time at which the handler ended.
    pub(crate) ended_at: Instant,
    /// The jitter of the backoff, if the job cannot be done without its mark, and gets none.
    pub(crate) jitter: Jitter,
    ask_at: Instant,
    /// The last request has no answer yet.
    in_flight: bool,
    /// A request has failed.
    has_failed: bool,
    waits: Waits,
}

impl Marking {
    /// Makes a mark that is requested at once.
    pub(crate) fn new(now: Instant, report: RunReport, jitter: Jitter) -> Self {
        Self {
            report,
            ended_at: now,
            jitter,
            ask_at: now,
            in_flight: false,
            has_failed: false,
            waits: Waits::new(),
        }
    }

    /// The time of the request, or of its repetition.
    pub(crate) fn ask_at(&self) -> Instant {
        self.ask_at
    }

    /// The store gets the request.
    pub(crate) fn ask(&mut self, now: Instant) {
        (self.ask_at, self.in_flight) = (now + MARK_PATIENCE, true);
    }

    /// The store is not available. Returns true the first time. A late answer to an earlier request changes nothing.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        if std::mem::take(&mut self.in_flight) {
            self.ask_at = now + self.waits.next();
        }
        !std::mem::replace(&mut self.has_failed, true)
    }
}
