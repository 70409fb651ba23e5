//! How messages are received while those that come are limited, and those of their classes are held that may be.
//!
//! A receive that brings a limited message for which there is no place hides it to no avail. Invariants: once two full receives in a
//! row brought nothing else, messages are asked for only as held ones start, and one at a time at a slow and growing interval to
//! find out if others have come; one that nothing limits ends that.

use std::time::{Duration, Instant};

use crate::core::receives::MAX_RECEIVE;

/// The limited messages in a row that go back before receives become few: two full receives. Beside a tenth of other messages, one in
/// eight such rows has none of them.
const RETURNED_IN_A_ROW: usize = 2 * MAX_RECEIVE;

/// The time between two receives that look for other messages, doubled from the first to the longest while they find none.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The messages that are worth a receive at once, and how long fewer wait for more, so that a fast class costs few receives.
const WORTH_A_RECEIVE: usize = MAX_RECEIVE / 2;
const GATHER: Duration = Duration::from_millis(100);

/// The messages that are asked for after a start if few of its class are held: of several classes, those that come may be of another.
const AFTER_ONE_OF_FEW: usize = 4;

/// How messages are received while those that come are limited.
#[derive(Debug, Default)]
pub(crate) struct LimitedReceives {
    /// The messages that went back since one came that nothing limits.
    returned_in_a_row: usize,
    /// The messages for which there is a place, or that are to show if others come.
    room: usize,
    /// Until when `room` waits for more.
    gather_until: Option<Instant>,
    /// When one message is asked for to find out if others come.
    look_at: Option<Instant>,
    wait: Duration,
    /// The jobs that were admitted at once, up to the last time.
    admitted: u64,
    others: u64,
}

impl LimitedReceives {
    /// Returns true if receives are few.
    pub(crate) fn are_few(&self) -> bool {
        self.returned_in_a_row >= RETURNED_IN_A_ROW
    }

    /// A message goes back, since those of its class are held that may be.
    pub(crate) fn returned(&mut self, now: Instant) {
        let were_few = self.are_few();
        self.returned_in_a_row = self.returned_in_a_row.saturating_add(1);
        if !were_few && self.are_few() {
            (self.room, self.gather_until) = (0, None);
            (self.wait, self.look_at) = (FIRST_WAIT, Some(now + FIRST_WAIT));
        }
    }

    /// A held message leaves its place, of whose class so many are left.
    pub(crate) fn left(&mut self, now: Instant, of_class: usize) {
        if !self.are_few() {
            return;
        }
        self.room += if of_class < WORTH_A_RECEIVE { AFTER_ONE_OF_FEW } else { 1 };
        self.room = self.room.min(MAX_RECEIVE);
        if self.room < WORTH_A_RECEIVE {
            self.gather_until.get_or_insert(now + GATHER);
        }
        (self.wait, self.look_at) = (FIRST_WAIT, Some(now + FIRST_WAIT));
    }

    /// Jobs were admitted at once: so many since the beginning of classes that were refused lately, and so many of others.
    pub(crate) fn admitted(&mut self, now: Instant, (admitted, others): (u64, u64)) {
        if self.others != others {
            self.returned_in_a_row = 0;
        } else if self.admitted != admitted {
            self.left(now, 0);
        }
        (self.admitted, self.others) = (admitted, others);
    }

    /// A receive has brought so many messages.
    pub(crate) fn brought(&mut self, now: Instant, count: usize) {
        if !self.are_few() || count == 0 {
            return;
        }
        self.room = self.room.saturating_sub(count);
        if self.room == 0 {
            self.gather_until = None;
        }
        if self.look_at.is_none() {
            self.look_at = Some(now + self.wait);
            self.wait = (2 * self.wait).min(LONGEST_WAIT);
        }
    }

    /// Returns the number of messages that may be asked for, open receives included.
    pub(crate) fn most(&mut self, now: Instant) -> usize {
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = None;
            self.room = self.room.max(1);
            self.gather_until = None;
        }
        if self.gather_until.is_some_and(|until| until <= now) {
            self.gather_until = None;
        }
        if self.gather_until.is_some() && self.room < WORTH_A_RECEIVE { 0 } else { self.room }
    }

    /// When more may be asked for without another message that leaves.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        if self.are_few() { self.look_at.into_iter().chain(self.gather_until).min() } else { None }
    }
}
