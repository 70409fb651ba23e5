//! The pace of receives that are answered with nothing at once.
//!
//! A long poll that brings nothing takes its wait time. An endpoint that does not wait, or a wait time of 0, would be asked
//! thousands of times a second.

use std::time::{Duration, Instant};

/// An empty answer is followed by the next receive this long after its own was opened at the soonest: ten a second.
pub(crate) const EMPTY_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// The last answer was empty and came at once: one receive at a time.
    slow: bool,
    not_before: Option<Instant>,
    reported: bool,
}

impl Pace {
    /// Returns true if no receive may be opened beside so many that are open.
    pub(crate) fn forbids(&self, now: Instant, open: usize) -> bool {
        self.slow && open > 0 || self.not_before.is_some_and(|at| now < at)
    }

    /// A receive has brought messages.
    pub(crate) fn brought(&mut self) {
        (self.slow, self.not_before) = (false, None);
    }

    /// A receive that was opened at `since` has brought nothing. Returns true the first time that this slows the next ones.
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

    /// When the next receive may be opened, if that is later.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.not_before
    }
}
