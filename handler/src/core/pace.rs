//! The pace of receives that get an empty answer at once.
//!
//! An empty long poll takes its wait time. Without this pace, an endpoint that does not wait, or a wait time of 0, would get
//! thousands of requests a second.

use std::time::{Duration, Instant};

/// The minimum time from a receive with an empty answer to the next: ten a second.
pub(crate) const EMPTY_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// The last answer was empty and immediate: one receive at a time.
    slow: bool,
    not_before: Option<Instant>,
    reported: bool,
}

impl Pace {
    /// Returns true if no receive may be opened besides this number of open ones.
    pub(crate) fn forbids(&self, now: Instant, open: usize) -> bool {
        self.slow && open > 0 || self.not_before.is_some_and(|at| now < at)
    }

    /// A receive has returned messages.
    pub(crate) fn brought(&mut self) {
        (self.slow, self.not_before) = (false, None);
    }

    /// A receive that was opened at `since` has returned none. Returns true the first time that this slows the next ones.
    pub(crate) fn brought_nothing(&mut self, now: Instant, since: Instant) -> bool {
        let next = since + EMPTY_EVERY;
        self.slow = now < next;
        if !self.slow {
            return false;
        }
        self.not_before = self.not_before.max(Some(next));
        !std::mem::replace(&mut self.reported, true)
    }

    /// Ends a wait that is over.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.not_before = self.not_before.filter(|at| now < *at);
    }

    /// The time at which the next receive may be opened, if that is later.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.not_before
    }
}
