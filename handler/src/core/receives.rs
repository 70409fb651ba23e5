//! Decides when to request messages, and how many.
//!
//! Decides the number of open receives: one while the queue is quiet, more while every answer is full. Invariants: the messages
//! requested never exceed the free places, which the ledger counts; a receive requests ten messages whenever ten places can be
//! free, so that a busy queue costs 0.1 receives per message; a failing queue gets requests ever more slowly, one at a time
//! ([`ReceiveBackoff`]).
//!
//! Limits: [ReceiveMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html).

use std::time::{Duration, Instant};

use crate::core::lookahead::most_ahead;
use crate::core::pace::Pace;
use crate::core::policy::MAX_RECEIVE;
use crate::core::receive_backoff::{ReceiveBackoff, ReceiveFailure, Round};
use crate::core::retry::Jitter;

/// More open receives than this have no use: twenty already fetch thousands of messages a second.
const MAX_OPEN: usize = 20;

/// Returns the maximum number of open receives of a queue with this concurrency.
pub fn most_open_receives(concurrency: usize) -> usize {
    (concurrency + most_ahead(concurrency)).div_ceil(MAX_RECEIVE).min(MAX_OPEN)
}

/// The same for a queue that shares its slots with others: each of its slots may belong to one receive.
pub fn most_open_receives_of_shared(concurrency: usize) -> usize {
    concurrency.min(MAX_OPEN)
}

/// The time for which a busy queue's few free places wait for more to become free, so that one receive serves them all. Short
/// compared to any job that takes long enough to free places one at a time.
const GATHER: Duration = Duration::from_millis(20);

/// A receive that has not ended this long after its wait time hangs: its own timeout should have ended it 5 s ago.
pub(crate) const RECEIVE_OVERDUE: Duration = Duration::from_secs(15);

/// A receive that fails later than this has waited for an answer without success.
const QUICK_FAILURE: Duration = Duration::from_secs(1);

/// Hanging receives cannot be dropped without losing their messages; with this many, no further ones are opened.
const MAX_OVERDUE: usize = 3;

/// The number of messages that the first receive of a process requests; each successful one doubles the next.
const FIRST_RECEIVE: usize = 1;

/// The time for which a process is careful, from its start and from each suspect: it requests few messages again as soon as the
/// queue has no more for now. The messages of a dead process are redelivered together, a lease later.
const CAREFUL: Duration = Duration::from_secs(60);

/// A long poll for one message of a queue that shares its slots is answered within this time if the message was already there:
/// then there may be more. A later message was sent while the poll was open.
const AT_ONCE: Duration = Duration::from_millis(500);

/// The maximum time that counts for a full receive: messages that are received ahead should not wait for long.
const LONGEST_WAY: Duration = Duration::from_millis(50);

/// A receive changes the average duration by one part in this many of its difference.
const TAKES_STEP: u32 = 8;

/// One receive, open or hanging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReceiveId(u64);

/// A receive to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receive {
    /// The id for its answer.
    pub id: ReceiveId,
    /// The number of messages to request, 1 to 10.
    pub max: usize,
    /// Only messages that are there now are requested: the request does not wait.
    pub is_short: bool,
}

#[derive(Debug)]
struct Open {
    receive: Receive,
    since: Instant,
    round: Round,
    overdue: bool,
}

#[derive(Debug)]
pub(crate) struct Receives {
    wait_time: Duration,
    most: usize,
    width: usize,
    /// The maximum number of messages of a receive: few at first, and after a message that may kill the process, so that few
    /// others are in hand if it does.
    each: usize,
    careful_until: Option<Instant>,
    starts_careful: bool,
    open: Vec<Open>,
    next_id: u64,
    backoff: ReceiveBackoff,
    /// The last answer was full, so the queue has more.
    more_waiting: bool,
    /// The time since when free places wait for more to become free.
    gathering_since: Option<Instant>,
    pace: Pace,
    /// The duration of a full receive, that is, one that waits for no message.
    takes: Option<Duration>,
    stopped: bool,
    /// The slots are shared with other queues.
    shared: Option<Shared>,
}

/// The state of a queue that shares its slots: an open receive keeps them from the others.
#[derive(Debug)]
struct Shared {
    /// The queue has no messages as far as is known. Then one long poll for one message is open. Otherwise receives do not
    /// wait, and keep slots from other queues only as long as SQS takes to answer.
    is_idle: bool,
    /// The slots of its share, for which a short wait is worth it.
    share: usize,
}

impl Receives {
    pub(crate) fn new(wait_time: Duration, concurrency: usize) -> Self {
        Self {
            wait_time,
            most: most_open_receives(concurrency),
            width: 1,
            each: FIRST_RECEIVE,
            careful_until: None,
            starts_careful: true,
            open: Vec::new(),
            next_id: 0,
            backoff: ReceiveBackoff::new(),
            more_waiting: false,
            gathering_since: None,
            pace: Pace::default(),
            takes: None,
            stopped: false,
            shared: None,
        }
    }

    /// The slots are shared with other queues from now on.
    pub(crate) fn share_slots(&mut self, concurrency: usize) {
        self.shared = Some(Shared { is_idle: true, share: 1 });
        // A slot of its turn is used at once, and not given to others because a receive is open.
        self.most = most_open_receives_of_shared(concurrency);
    }

    /// The share of the slots that are shared with other queues.
    pub(crate) fn set_share(&mut self, slots: usize) {
        if let Some(shared) = &mut self.shared {
            shared.share = slots;
        }
    }

    /// Sets the maximum number of open receives for this concurrency. Open ones end normally.
    pub(crate) fn set_concurrency(&mut self, concurrency: usize) {
        self.most = if self.shared.is_some() {
            most_open_receives_of_shared(concurrency)
        } else {
            most_open_receives(concurrency)
        };
        self.width = self.width.min(self.most);
    }

    /// Requests as many messages as there are places from the start: a FIFO queue delivers the messages of a group in one
    /// receive, or one after the other.
    pub(crate) fn large_from_the_start(self) -> Self {
        Self { each: MAX_RECEIVE, starts_careful: false, ..self }
    }

    /// The next receive to open for the free ones of these places, if any.
    pub(crate) fn next(&mut self, now: Instant, free: usize, places: usize) -> Option<Receive> {
        if !self.may_open(now) {
            if self.shared.is_some() {
                self.gathering_since = None;
            }
            return None;
        }
        let open = self.counts().0;
        if self.starts_careful {
            self.careful_until.get_or_insert(now + CAREFUL);
        }
        let unreserved = free.saturating_sub(self.reserved());
        if unreserved == 0 {
            self.gathering_since = None;
            return None;
        }
        let (each, enough) = match &self.shared {
            Some(shared) if shared.is_idle => (1, 1),
            Some(shared) => (self.each, self.each.min(shared.share).min(places)),
            None => (self.each, self.each.min(places)),
        };
        if unreserved < enough {
            // Only a single receive may request few. Shared slots do not wait for the others to end.
            if open > 0 && self.shared.is_none() {
                return None;
            }
            let since = *self.gathering_since.get_or_insert(now);
            if self.more_waiting && now < since + GATHER {
                return None;
            }
        }
        self.gathering_since = None;
        self.next_id += 1;
        let is_short = self.shared.as_ref().is_some_and(|shared| !shared.is_idle);
        let receive = Receive { id: ReceiveId(self.next_id), max: unreserved.min(each), is_short };
        self.open.push(Open { receive, since: now, round: self.backoff.round(), overdue: false });
        Some(receive)
    }

    /// Returns true if a receive may be opened now.
    fn may_open(&self, now: Instant) -> bool {
        let (open, overdue) = self.counts();
        let is_idle = self.shared.as_ref().is_some_and(|shared| shared.is_idle);
        !(self.stopped
            || overdue >= MAX_OVERDUE
            || open >= self.width
            || open > 0 && (self.is_slow() || is_idle)
            || self.backoff.not_before().is_some_and(|t| now < t)
            || self.pace.forbids(now, open)
            || self.backoff.probes() && self.any_open_in(self.backoff.round()))
    }

    /// The slots that receives would use now, besides those that they have reserved.
    pub(crate) fn wanted_slots(&self, now: Instant) -> usize {
        if !self.may_open(now) {
            return 0;
        }
        match &self.shared {
            Some(shared) if shared.is_idle => 1,
            _ => (self.width - self.counts().0) * self.each,
        }
    }

    /// Returns true if the queue has more messages, as far as is known, and can be received from.
    pub(crate) fn has_backlog(&self, now: Instant) -> bool {
        let is_idle = self.shared.as_ref().is_some_and(|shared| shared.is_idle);
        !is_idle && !self.stopped && self.backoff.not_before().is_none_or(|t| now >= t)
    }

    /// A receive has brought `count` messages. Returns true the first time that the pace slows the receives after it.
    pub(crate) fn landed(&mut self, now: Instant, id: ReceiveId, count: usize) -> bool {
        self.backoff.succeeded();
        let Some(open) = self.close(id) else { return false };
        self.more_waiting = count >= open.receive.max;
        if self.more_waiting {
            self.has_taken(now.saturating_duration_since(open.since));
        }
        if let Some(shared) = &mut self.shared {
            let was_there = open.receive.is_short || now < open.since + AT_ONCE;
            shared.is_idle = count == 0 || !was_there;
        }
        let is_careful = self.is_careful(now);
        if is_careful && !self.more_waiting {
            self.each = FIRST_RECEIVE;
        }
        if count == 0 {
            self.width = (self.width / 2).max(1);
            return !open.receive.is_short && self.pace.brought_nothing(now, open.since);
        }
        self.pace.brought();
        if self.is_slow() && (self.more_waiting || !is_careful) {
            self.each = (2 * self.each).min(MAX_RECEIVE);
        } else if self.shared.is_some() {
            self.width = (2 * self.width).min(self.most);
        } else if self.more_waiting {
            self.width = (self.width + 1).min(self.most);
        }
        false
    }

    /// A full receive has taken this long. One that first waited for messages counts as a slow one.
    fn has_taken(&mut self, time: Duration) {
        let time = time.min(LONGEST_WAY);
        let usual = self.takes.unwrap_or(time);
        self.takes = Some(usual.saturating_sub(usual / TAKES_STEP) + time / TAKES_STEP);
    }

    /// Returns the duration of a full receive, at most 50 ms; `None` until one was full.
    pub(crate) fn takes(&self) -> Option<Duration> {
        self.takes
    }

    /// A receive has failed. Returns the time until the next one, if the failure is worth a report.
    pub(crate) fn failed(
        &mut self,
        now: Instant,
        id: ReceiveId,
        failure: ReceiveFailure,
        jitter: Jitter,
    ) -> Option<Duration> {
        let open = self.close(id)?;
        self.gathering_since = None;
        if failure == ReceiveFailure::Throttled && open.round == self.backoff.round() {
            self.width = (self.width / 2).max(1);
        }
        // A slow failure beside successes is not transient: SQS hangs.
        let is_quick = now < open.since + QUICK_FAILURE;
        self.backoff.failed(now, open.round, failure, is_quick, jitter)
    }

    /// Opens no receive for `wait`, within bounds.
    pub(crate) fn hold(&mut self, now: Instant, wait: Duration) {
        self.backoff.hold(now, wait);
    }

    /// Ends a pause, and marks hanging receives. Returns the number of those that are new since the last time.
    pub(crate) fn tick(&mut self, now: Instant) -> usize {
        self.backoff.tick(now);
        self.pace.tick(now);
        let limit = self.wait_time + RECEIVE_OVERDUE;
        let mut newly = 0;
        for open in self.open.iter_mut().filter(|open| !open.overdue && now >= open.since + limit) {
            open.overdue = true;
            newly += 1;
        }
        newly
    }

    /// Limits the next receive to this many messages; each that returns as many doubles that.
    pub(crate) fn slow_to(&mut self, now: Instant, most: usize) {
        self.each = self.each.min(most);
        self.careful_until = Some(now + CAREFUL);
    }

    /// Messages on their last receives have arrived: while the process is careful, it requests one at a time.
    pub(crate) fn brought_last_receives(&mut self, now: Instant) {
        if self.is_careful(now) {
            self.each = FIRST_RECEIVE;
        }
    }

    fn is_careful(&self, now: Instant) -> bool {
        self.careful_until.is_some_and(|until| now < until)
    }

    /// Returns true while receives request fewer messages than they could. Then one is open at a time.
    pub(crate) fn is_slow(&self) -> bool {
        self.each < MAX_RECEIVE
    }

    /// Opens no further receives.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Returns true if receives are open that may still return messages.
    pub(crate) fn any_open(&self) -> bool {
        self.counts().0 > 0
    }

    /// Returns true if the queue is reachable, as far as is known.
    pub(crate) fn healthy(&self) -> bool {
        self.backoff.healthy() && self.counts().1 == 0
    }

    /// The time at which something changes here without an answer.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        if self.stopped {
            return None;
        }
        let overdue =
            self.open.iter().filter(|o| !o.overdue).map(|o| o.since + self.wait_time + RECEIVE_OVERDUE);
        let gathered = self.gathering_since.map(|since| since + GATHER);
        overdue.chain(gathered).chain(self.backoff.not_before()).chain(self.pace.timeout()).min()
    }

    fn any_open_in(&self, round: Round) -> bool {
        self.open.iter().any(|open| open.round == round && !open.overdue)
    }

    fn counts(&self) -> (usize, usize) {
        let overdue = self.open.iter().filter(|open| open.overdue).count();
        (self.open.len() - overdue, overdue)
    }

    /// The slots for messages that open receives may return.
    pub(crate) fn reserved(&self) -> usize {
        self.open.iter().filter(|open| !open.overdue).map(|open| open.receive.max).sum()
    }

    fn close(&mut self, id: ReceiveId) -> Option<Open> {
        let index = self.open.iter().position(|open| open.receive.id == id)?;
        Some(self.open.swap_remove(index))
    }
}

#[cfg(test)]
#[path = "receives_tests.rs"]
mod tests;
