//! A job type that is closed for a time, and half-open afterwards: one of its jobs at a time runs as a probe.

use std::sync::Arc;
use std::time::Instant;

use crate::core::ending::Ending;

/// The closings of a type for one reason. At first it is open.
#[derive(Debug, Default)]
pub(super) struct HalfOpen {
    closed: Option<Closed>,
    /// The number of closings: the probe of an earlier one decides nothing.
    closings: u64,
}

#[derive(Debug)]
struct Closed {
    since: Instant,
    why: Arc<str>,
    /// No job starts before this; afterwards one at a time.
    until: Instant,
    probe_runs: bool,
}

/// A run that is the probe of a closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProbeOf(u64);

impl HalfOpen {
    /// Returns `Ok` if a job may start, else the time until which it waits: `None` while a probe runs, which decides.
    pub(super) fn check(&self, now: Instant) -> Result<(), Option<Instant>> {
        match &self.closed {
            Some(closed) if now < closed.until => Err(Some(closed.until)),
            Some(closed) if closed.probe_runs => Err(None),
            Some(_) | None => Ok(()),
        }
    }

    /// A job starts, after [`check`](Self::check) allowed it. Returns its probe, if it is one.
    pub(super) fn start(&mut self) -> Option<ProbeOf> {
        let closed = self.closed.as_mut()?;
        closed.probe_runs = true;
        Some(ProbeOf(self.closings))
    }

    /// Closes the type until this time, even if it is half-open. If it is already closed for longer, the later time and its
    /// reason stay.
    pub(super) fn close(&mut self, now: Instant, until: Instant, why: &str) {
        self.closings += 1;
        match &mut self.closed {
            Some(closed) => {
                closed.until = closed.until.max(until);
                closed.probe_runs = false;
            }
            None => self.closed = Some(Closed { since: now, why: why.into(), until, probe_runs: false }),
        }
    }

    /// Opens the type.
    pub(super) fn open(&mut self) {
        self.closed = None;
    }

    /// The run of this probe has ended, or never started. If the probe still counts, another run may replace it.
    pub(super) fn free(&mut self, probe: Option<ProbeOf>) {
        if self.is_current(probe)
            && let Some(closed) = &mut self.closed
        {
            closed.probe_runs = false;
        }
    }

    /// Returns true for the probe of the latest closing, which decides if the type opens.
    pub(super) fn is_current(&self, probe: Option<ProbeOf>) -> bool {
        self.closed.is_some() && probe == Some(ProbeOf(self.closings))
    }

    /// Returns the time before which no job starts; `None` if the type is open.
    pub(super) fn until(&self) -> Option<Instant> {
        self.closed.as_ref().map(|closed| closed.until)
    }

    /// Returns the time since when the type is closed, half-open or not, and the reason; `None` if it is open.
    pub(super) fn since(&self) -> Option<(Instant, Arc<str>)> {
        self.closed.as_ref().map(|closed| (closed.since, Arc::clone(&closed.why)))
    }
}

/// The state of the service that a handler calls, according to the ending of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    /// It works, as far as this job needs it.
    Success,
    /// It failed, and may succeed later.
    TransientFailure,
    /// Unknown: the run was stopped or throttled, lacked something, or did not reach its handler.
    Nothing,
}

impl Shows {
    pub(super) fn of(ending: &Ending) -> Self {
        match ending {
            // A rejection is about the job, and not about the service.
            Ending::Done | Ending::Rejected { .. } => Self::Success,
            Ending::RetryAsked { .. } | Ending::Panicked { .. } | Ending::TimedOut => Self::TransientFailure,
            Ending::Throttled { .. }
            | Ending::InvalidPayload { .. }
            | Ending::NoHandler { .. }
            | Ending::Interrupted
            | Ending::LeaseLost
            | Ending::OutOfResources { .. }
            | Ending::TargetUnhealthy { .. }
            | Ending::DoneBefore(_)
            | Ending::FailedPermanently { .. }
            | Ending::Busy { .. }
            | Ending::StoreUnavailable { .. }
            | Ending::Limited { .. }
            | Ending::PayloadUnavailable { .. } => Self::Nothing,
        }
    }
}

#[cfg(test)]
#[path = "half_open_tests.rs"]
pub(super) mod scripts;
