//! Rounds of a look: SQS allows 120,000 messages in flight, so a look at more of them releases all held letters and continues.
//!
//! A look receives letters and holds them, so that each is seen once. Invariants: it ends on every queue; on a queue that
//! returns its waiting messages first, it ends only after it has seen every letter that could be received. A repeated look
//! cannot use the depth to find its end: holds that have expired return known letters before the wanted ones. It ends when a
//! receive returns no letter, or after every held letter was received again.
//! See [in-flight messages](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).

/// The number of letters held at once. Below the 120,000 of SQS, so that others can still receive from the queue.
pub const HOLD_LIMIT: u64 = 100_000;

/// The number of consecutive receives without a new letter that ends a look. The depths that SQS reports are approximate, and a
/// receive may miss messages in the queue.
const FRUITLESS_RECEIVES: u32 = 3;

/// The number of consecutive rounds without a new letter that ends a look, if the depth indicates more letters.
const BARREN_ROUNDS: u32 = 3;

/// The next step of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Receive more.
    Receive,
    /// Release all held letters, and continue.
    ReleaseAll,
    /// End: all letters that can be received were seen.
    End,
}

/// The letters of a receive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// Letters that were never seen.
    pub new: u64,
    /// Letters that had to be seen again, and were.
    pub sought: u64,
    /// Other letters that were seen before.
    pub again: u64,
}

/// The progress of a look.
#[derive(Debug, Clone)]
pub struct Rounds {
    /// The approximate number of letters in the queue at the start.
    depth: u64,
    hold_limit: u64,
    /// True if the queue is FIFO: it returns the first ten of each group, before and after a release.
    is_ordered: bool,
    seen: u64,
    /// Letters that must be seen again.
    sought: u64,
    held: u64,
    new_in_round: u64,
    barren: u32,
    /// The number of consecutive receives without a new letter, and of those the last ones without any letter.
    fruitless: u32,
    empty: u32,
    /// The number of consecutive letters that were seen before.
    again: u64,
    is_full: bool,
    is_repeated: bool,
}

impl Rounds {
    /// Makes the rounds for a queue of about `depth` letters that can be received, with at most `hold_limit` held letters.
    pub fn new(depth: u64, hold_limit: u64, is_ordered: bool) -> Self {
        Self {
            depth,
            hold_limit,
            is_ordered,
            seen: 0,
            sought: 0,
            held: 0,
            new_in_round: 0,
            barren: 0,
            fruitless: 0,
            empty: 0,
            again: 0,
            is_full: false,
            is_repeated: false,
        }
    }

    /// Records a receive. `held` letters are now held.
    pub fn received(&mut self, received: Received, held: u64) {
        let Received { new, sought, again } = received;
        self.held = held;
        self.seen += new;
        self.sought = self.sought.saturating_sub(sought);
        self.new_in_round += new + sought;
        self.is_full = false;
        self.empty = if new + sought + again == 0 { self.empty + 1 } else { 0 };
        if new + sought > 0 {
            (self.fruitless, self.again) = (0, 0);
        } else {
            self.fruitless += 1;
            self.again += again;
        }
    }

    /// Records that SQS refused a receive, because too many messages are in flight.
    pub fn refused_as_full(&mut self) {
        self.is_full = true;
    }

    /// Records that letters were deleted or released: `held` are held now, and `sought` must be seen again.
    pub fn left(&mut self, held: u64, sought: u64) {
        (self.held, self.sought) = (held, sought);
    }

    /// Repeats the look, because there may be more letters.
    pub fn look_again(&mut self) {
        (self.fruitless, self.empty, self.again) = (0, 0, 0);
        (self.is_full, self.is_repeated) = (false, true);
    }

    /// Records that all letters were released: a new round begins.
    pub fn released_all(&mut self) {
        self.barren = if self.new_in_round == 0 { self.barren + 1 } else { 0 };
        (self.held, self.new_in_round, self.fruitless, self.empty, self.again) = (0, 0, 0, 0, 0);
        self.is_full = false;
    }

    /// Returns the number of letters seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Returns the next step.
    pub fn next(&self) -> Step {
        let is_deep = self.seen < self.depth || self.sought > 0;
        let is_all = !is_deep && !self.is_repeated;
        let found_nothing = self.empty >= FRUITLESS_RECEIVES
            || !is_deep && self.empty > 0
            || is_all && self.fruitless >= FRUITLESS_RECEIVES
            || is_all && self.held >= self.hold_limit && self.fruitless > 0
            // Expired holds returned their letters again: all of them, and none is new.
            || self.fruitless >= FRUITLESS_RECEIVES && self.again > self.held;
        if found_nothing {
            return Step::End;
        }
        // If all should have been seen, a few more receives verify that.
        let allowed = if is_deep { self.hold_limit } else { self.hold_limit + self.hold_limit / 10 };
        if self.held < allowed && !self.is_full {
            return Step::Receive;
        }
        let is_barren = self.new_in_round == 0 && (!is_deep || self.barren + 1 >= BARREN_ROUNDS);
        if self.is_ordered || self.held == 0 || is_barren { Step::End } else { Step::ReleaseAll }
    }
}

#[cfg(test)]
#[path = "rounds_tests.rs"]
mod tests;
