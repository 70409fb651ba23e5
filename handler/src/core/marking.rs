//! A run whose handler has succeeded, while its job is being marked as done in the store. Its message stays in hand and
//! renewed for as long as the store does not answer. See ADR 0011.

use std::time::{Duration, Instant};

use crate::core::claim_lease::Waits;
use crate::core::retry::Jitter;
use crate::core::run_report::RunReport;

/// A mark that is not answered for this long is asked for once more: it may be repeated without harm.
const MARK_PATIENCE: Duration = Duration::from_secs(5);

/// The state of a mark.
#[derive(Debug)]
pub(crate) struct Marking {
    /// The run's report.
    pub(crate) report: RunReport,
    /// When the handler ended.
    pub(crate) ended_at: Instant,
    /// That of the backoff, if the job cannot be done without its mark, and gets none.
    pub(crate) jitter: Jitter,
    ask_at: Instant,
    /// The last request was not answered yet.
    in_flight: bool,
    /// A request has failed.
    has_failed: bool,
    waits: Waits,
}

impl Marking {
    /// A mark to be asked for at once.
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

    /// When the store is asked, or asked once more.
    pub(crate) fn ask_at(&self) -> Instant {
        self.ask_at
    }

    /// The store is asked.
    pub(crate) fn ask(&mut self, now: Instant) {
        (self.ask_at, self.in_flight) = (now + MARK_PATIENCE, true);
    }

    /// The store did not answer as it should; returns true the first time. A late answer to an earlier request changes
    /// nothing.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        if std::mem::take(&mut self.in_flight) {
            self.ask_at = now + self.waits.next();
        }
        !std::mem::replace(&mut self.has_failed, true)
    }
}
