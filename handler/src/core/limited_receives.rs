//! Receiving while the arriving messages are limited, and as many of their classes are held as possible.
//!
//! A receive of a limited message for which there is no place hides it without any use. Invariants: once two full receives in a
//! row returned no other messages, messages are requested only if held ones have left their places, at most as many as there
//! are places, and one at a time at a slow and growing interval to check if others have arrived; a message without a limit ends
//! that.

use std::time::{Duration, Instant};

use crate::core::limits::JobClass;
use crate::core::policy::MAX_RECEIVE;

/// The limited messages in a row that are released before receives become few: two full receives. If a tenth of the messages
/// are other ones, one in eight such rows has none of them.
const RETURNED_IN_A_ROW: usize = 2 * MAX_RECEIVE;

/// The time between two receives that check for other messages, doubled from the first to the longest while they find none.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The number of places that justify a receive at once, and the time for which fewer wait for more, so that a fast class costs
/// few receives.
const WORTH_A_RECEIVE: usize = MAX_RECEIVE / 2;
const GATHER: Duration = Duration::from_millis(100);

/// The state of receiving while the messages that arrive are limited.
#[derive(Debug, Default)]
pub(crate) struct LimitedReceives {
    /// The messages that were released since the last one without a limit.
    returned_in_a_row: usize,
    /// A job has started, and no message was released since: further messages may find a place.
    may_ask: bool,
    /// The class of the last held message that has left its place; `None` if a job was admitted at once.
    class: Option<JobClass>,
    /// The time until which few places wait for more.
    gather_until: Option<Instant>,
    /// The time of the next receive of one message that checks if others have arrived.
    look_at: Option<Instant>,
    wait: Duration,
    /// That time has passed, and no message was received since.
    looks: bool,
    /// The jobs that were admitted at once, up to the last time.
    admitted: u64,
    others: u64,
}

impl LimitedReceives {
    /// Returns true if receives are few.
    pub(crate) fn are_few(&self) -> bool {
        self.returned_in_a_row >= RETURNED_IN_A_ROW
    }

    /// Returns the class whose places count; `None` for the one with the most of them.
    pub(crate) fn class(&self) -> Option<&JobClass> {
        self.class.as_ref()
    }

    /// A message is released, because the maximum of its class is held.
    pub(crate) fn returned(&mut self, now: Instant) {
        let were_few = self.are_few();
        self.returned_in_a_row = self.returned_in_a_row.saturating_add(1);
        (self.may_ask, self.gather_until) = (false, None);
        if !were_few && self.are_few() {
            self.looks = false;
            (self.wait, self.look_at) = (FIRST_WAIT, Some(now + FIRST_WAIT));
        }
    }

    /// A held message leaves its place.
    pub(crate) fn left(&mut self, now: Instant, class: &JobClass) {
        if self.are_few() {
            self.class = Some(class.clone());
            self.starts(now);
        }
    }

    fn starts(&mut self, now: Instant) {
        self.may_ask = true;
        self.gather_until.get_or_insert(now + GATHER);
        (self.wait, self.look_at) = (FIRST_WAIT, Some(now + FIRST_WAIT));
    }

    /// Jobs were admitted at once: the totals of recently refused classes, and of others.
    pub(crate) fn admitted(&mut self, now: Instant, (admitted, others): (u64, u64)) {
        if self.others != others {
            self.returned_in_a_row = 0;
        } else if self.admitted != admitted && self.are_few() {
            self.class = None;
            self.starts(now);
        }
        (self.admitted, self.others) = (admitted, others);
    }

    /// A receive has returned this many messages.
    pub(crate) fn brought(&mut self, now: Instant, count: usize) {
        if !self.are_few() || count == 0 {
            return;
        }
        self.looks = false;
        if self.look_at.is_none() {
            self.look_at = Some(now + self.wait);
            self.wait = (2 * self.wait).min(LONGEST_WAIT);
        }
    }

    /// Returns the number of messages to request, besides those of open receives, if there are this many places.
    pub(crate) fn most(&mut self, now: Instant, places: usize, reserved: usize) -> usize {
        if self.look_at.is_some_and(|at| at <= now) {
            (self.look_at, self.looks) = (None, true);
        }
        if self.gather_until.is_some_and(|until| until <= now) {
            self.gather_until = None;
        }
        let is_worth_it = places >= WORTH_A_RECEIVE || self.gather_until.is_none();
        let for_places = if self.may_ask && is_worth_it { places } else { 0 };
        for_places.max(usize::from(self.looks && reserved == 0))
    }

    /// The time at which more may be requested although no further message leaves.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        if self.are_few() { self.look_at.into_iter().chain(self.gather_until).min() } else { None }
    }
}
