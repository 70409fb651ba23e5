//! Rounds of a look: SQS allows 120,000 messages in flight, so a look at more releases what it holds and goes on.
//!
//! A look receives letters and holds them, so that none is seen twice. Invariants: it ends on every queue; on a queue that shows
//! its waiting messages first, it ends only after every letter that could be received was seen. A look that is repeated does not
//! know by a depth how much there is: holds that have ended bring letters that it knows, before the ones that it looks for. It ends
//! when a receive brings nothing, or once every held letter came again.
//! See [in-flight messages](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).

/// Letters held at once. Below the 120,000 of SQS, so that others can receive from the queue meanwhile.
pub const HOLD_LIMIT: u64 = 100_000;

/// Receives in a row that bring nothing new before it is taken for the end. The depths that SQS reports are approximate, and a
/// receive may miss messages that are there.
const FRUITLESS_RECEIVES: u32 = 3;

/// Rounds in a row without a new letter before it is taken for the end, if the queue is said to have more.
const BARREN_ROUNDS: u32 = 3;

/// What the look does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Receive more.
    Receive,
    /// Release all letters that are held, and go on.
    ReleaseAll,
    /// End: all letters were seen that can be received.
    End,
}

/// The letters of a receive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// Letters that were never seen.
    pub new: u64,
    /// Letters that were seen, and had to be seen again.
    pub sought: u64,
    /// Other letters that were seen before.
    pub again: u64,
}

/// The progress of a look.
#[derive(Debug, Clone)]
pub struct Rounds {
    /// The number of letters that the queue had at the begin, about.
    depth: u64,
    hold_limit: u64,
    /// A FIFO queue shows the first ten of each group, before and after a release.
    is_ordered: bool,
    seen: u64,
    /// Letters that must be seen again.
    sought: u64,
    held: u64,
    new_in_round: u64,
    barren: u32,
    /// Receives in a row without a new letter, and of those the last ones without any.
    fruitless: u32,
    empty: u32,
    /// Letters in a row that were seen before.
    again: u64,
    is_full: bool,
    is_repeated: bool,
}

impl Rounds {
    /// A look at a queue of about `depth` letters that can be received, which holds `hold_limit` of them at once.
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

    /// Records a receive. `held` letters are held by now.
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

    /// Records that SQS refused a receive, since too many messages are in flight.
    pub fn refused_as_full(&mut self) {
        self.is_full = true;
    }

    /// Records that letters were deleted or released, so that `held` are held now, and `sought` must be seen again.
    pub fn left(&mut self, held: u64, sought: u64) {
        (self.held, self.sought) = (held, sought);
    }

    /// Repeats the look: there may be more to see.
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

    /// Returns what to do next.
    pub fn next(&self) -> Step {
        let is_deep = self.seen < self.depth || self.sought > 0;
        let is_all = !is_deep && !self.is_repeated;
        let found_nothing = self.empty >= FRUITLESS_RECEIVES
            || !is_deep && self.empty > 0
            || is_all && self.fruitless >= FRUITLESS_RECEIVES
            || is_all && self.held >= self.hold_limit && self.fruitless > 0
            // Holds that ended bring their letters again: all of them did, and none is new.
            || self.fruitless >= FRUITLESS_RECEIVES && self.again > self.held;
        if found_nothing {
            return Step::End;
        }
        // If all should have been seen, a few more receives find out.
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
