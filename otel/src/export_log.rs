//! The log of a signal's exports: failures, how often, and the end of them.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::{info, warn};

use crate::export_error::ExportError;
use crate::seldom::Seldom;
use crate::variables::Signal;

/// Logs the failed exports of a signal to one address.
#[derive(Debug)]
pub(crate) struct ExportLog {
    signal: Signal,
    /// The address without credentials.
    endpoint: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: Seldom,
    /// The spans or series that no line has counted.
    items: usize,
    /// A failure was logged, and no success after it.
    is_failing: bool,
}

/// A line to log.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    exports: u64,
    items: usize,
}

impl State {
    fn failed(&mut self, items: usize, now: Instant) -> Option<Line> {
        self.items += items;
        let exports = self.failures.count(now)?;
        self.is_failing = true;
        Some(Line { exports, items: std::mem::take(&mut self.items) })
    }

    fn succeeded(&mut self) -> Option<Line> {
        if !std::mem::take(&mut self.is_failing) {
            return None;
        }
        Some(Line { exports: self.failures.take(), items: std::mem::take(&mut self.items) })
    }
}

impl ExportLog {
    pub(crate) fn new(signal: Signal, endpoint: String) -> Self {
        Self { signal, endpoint, state: Mutex::default() }
    }

    /// Records that so many spans or series were not exported. Each line counts what no line before it has counted.
    pub(crate) fn failed(&self, items: usize, error: &ExportError) {
        let Some(Line { exports, items }) = self.with(|state| state.failed(items, Instant::now())) else {
            return;
        };
        let (endpoint, fix, error) = (&*self.endpoint, error.fix(), error.to_string());
        match self.signal {
            Signal::Traces => warn!(endpoint, exports, spans = items, error, fix, "spans not exported"),
            // The next export contains what this one lacked.
            Signal::Metrics => warn!(endpoint, exports, error, fix, "metrics not exported"),
        }
    }

    /// Records an export.
    pub(crate) fn succeeded(&self) {
        let Some(Line { exports, items }) = self.with(State::succeeded) else { return };
        let endpoint = &*self.endpoint;
        match self.signal {
            Signal::Traces => {
                info!(endpoint, failed_exports = exports, lost_spans = items, "spans exported again");
            }
            Signal::Metrics => info!(endpoint, failed_exports = exports, "metrics exported again"),
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_success_is_logged_once_after_a_logged_failure() {
        let (mut state, start) = (State::default(), Instant::now());
        let at = |secs| start + Duration::from_secs(secs);
        let line = |exports, items| Some(Line { exports, items });
        assert_eq!(state.succeeded(), None);
        assert_eq!(state.failed(512, at(0)), line(1, 512));
        assert_eq!(state.failed(100, at(5)), None);
        assert_eq!(state.failed(20, at(10)), None);
        assert_eq!(state.succeeded(), line(2, 120));
        assert_eq!(state.succeeded(), None);
        // Within five minutes of a line, another failure and its end are silent; the next line counts it.
        assert_eq!(state.failed(7, at(20)), None);
        assert_eq!(state.succeeded(), None);
        assert_eq!(state.failed(1, at(300)), line(2, 8));
    }
}
