//! The messages of one queue: decides the batches, their times, and the consequences of responses. No I/O, no clock.
//!
//! 1. A batch leaves if it has ten entries, if the next message would exceed SQS's size limit, or if the linger of its oldest
//!    message has passed; and only while fewer than the allowed number of batches are in flight.
//! 2. Messages leave in the order in which their linger ends. On a FIFO queue at most one message of a group is in flight, see
//!    [`Groups`].
//! 3. An entry with a transient failure waits for its next attempt outside of every batch, so it blocks only its own group.
//! 4. After a lost response SQS may have the message, so its end can never be [`End::NotSent`] afterwards. It is sent again
//!    unless the caller does not want that: a FIFO queue drops the duplicate while it remembers the deduplication id; a standard
//!    queue may contain it twice.
//! 5. If SQS refuses a request as a whole, it is sent again entry by entry: one caller's message must not fail another's.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drumline::RetryPolicy;
use drumline::core::{Jitter, JitterMode};

use super::answer::{Answer, End, EntryAnswer, RequestFailure};
use crate::delivery::RESEND_WITHIN;
use crate::groups::Groups;
use crate::pack::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES};
use crate::send::TRIES;

/// The number of a message, in the order of acceptance.
pub(super) type Number = u64;

/// An action for the task to perform.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A batch leaves now.
    Leave(Batch),
    /// This message ends in doubt: SQS may not recognize a duplicate any more.
    GiveUp(Number),
}

/// A batch that leaves now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) id: u64,
    pub(super) messages: Vec<Number>,
}

/// A message that waits or is in flight.
#[derive(Debug)]
struct Waiting {
    number: Number,
    bytes: usize,
    /// The group, for FIFO queues: on other queues a group has no order.
    group: Option<Arc<str>>,
    /// The latest time at which it leaves, if a batch may leave.
    due: Instant,
    tries: u32,
    /// The time of the first attempt whose response was lost.
    in_doubt_since: Option<Instant>,
    /// True if it leaves in a separate batch.
    alone: bool,
}

/// The messages of one queue.
#[derive(Debug)]
pub(super) struct Line {
    is_fifo: bool,
    /// True if messages are sent again after a lost response.
    sends_again: bool,
    linger: Duration,
    max_in_flight: usize,
    /// Messages that can leave, by the time at which they are due.
    ready: BTreeMap<(Instant, Number), Waiting>,
    /// Messages that wait for their next attempt, by its time.
    resting: BTreeMap<(Instant, Number), Waiting>,
    groups: Groups<Waiting>,
    in_flight: HashMap<u64, (Instant, Vec<Waiting>)>,
    batches: u64,
}

impl Line {
    pub(super) fn new(is_fifo: bool, sends_again: bool, linger: Duration, max_in_flight: usize) -> Self {
        Self {
            is_fifo,
            sends_again,
            linger,
            max_in_flight,
            ready: BTreeMap::new(),
            resting: BTreeMap::new(),
            groups: Groups::default(),
            in_flight: HashMap::new(),
            batches: 0,
        }
    }

    /// Accepts a message. Numbers grow. A message that is too large, because its payload will go to S3, counts as one of the
    /// largest size.
    pub(super) fn accept(&mut self, now: Instant, number: Number, bytes: usize, group: Option<&Arc<str>>) {
        let bytes = bytes.min(MAX_BATCH_BYTES);
        let group = group.filter(|_| self.is_fifo).cloned();
        let due = now + self.linger;
        let message = Waiting { number, bytes, group, due, tries: 0, in_doubt_since: None, alone: false };
        let free = match message.group.clone() {
            Some(group) => self.groups.enter(&group, message),
            None => Some(message),
        };
        self.ready.extend(free.map(|message| (message.key(), message)));
    }

    /// Returns the next action that is due now, if there is one.
    pub(super) fn next_step(&mut self, now: Instant) -> Option<Step> {
        self.wake_resting(now);
        let first = self.ready.first_entry()?;
        if first.get().is_forgotten(now) {
            let message = first.remove();
            self.promote(message.group.as_ref());
            return Some(Step::GiveUp(message.number));
        }
        let due = first.key().0;
        let (count, is_full) = self.first_batch(now);
        if self.in_flight.len() >= self.max_in_flight || (!is_full && due > now) {
            return None;
        }
        let messages: Vec<Waiting> = (0..count).filter_map(|_| Some(self.ready.pop_first()?.1)).collect();
        let numbers = messages.iter().map(|message| message.number).collect();
        let batch = Batch { id: self.batches, messages: numbers };
        self.batches += 1;
        self.in_flight.insert(batch.id, (now, messages));
        Some(Step::Leave(batch))
    }

    /// Returns the next time at which a batch can leave if no event happens before.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        if self.in_flight.len() >= self.max_in_flight {
            return None;
        }
        let first = |waiting: &BTreeMap<(Instant, Number), Waiting>| Some(waiting.first_key_value()?.0.0);
        first(&self.ready).into_iter().chain(first(&self.resting)).min()
    }

    /// Ends the linger of all accepted messages. Retries keep their times.
    pub(super) fn hurry(&mut self, now: Instant) {
        let ready = std::mem::take(&mut self.ready);
        self.ready.extend(ready.into_values().map(|mut message| {
            message.due = message.due.min(now);
            (message.key(), message)
        }));
        self.groups.for_each(|message| message.due = message.due.min(now));
    }

    /// Processes the response to a batch. Returns the finished messages, each with its index in the batch.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        batch: u64,
        answer: &Answer,
        jitter: Jitter,
    ) -> Vec<(Number, usize, End)> {
        let Some((left_at, messages)) = self.in_flight.remove(&batch) else { return Vec::new() };
        let may_split = messages.len() > 1;
        let mut ended = Vec::new();
        for (place, mut message) in messages.into_iter().enumerate() {
            message.tries += 1;
            let next = match answer {
                Answer::Entries(entries) => {
                    let entry = entries.get(place).copied().unwrap_or(EntryAnswer::InDoubt);
                    message.after_entry(entry, left_at, self.sends_again)
                }
                Answer::Failed(failure) => {
                    message.after_failure(*failure, left_at, may_split, self.sends_again)
                }
            };
            match message.next_try(now, next, jitter) {
                Ok(Some(at)) => {
                    self.resting.insert((at, message.number), message);
                }
                Ok(None) => {
                    message.due = now;
                    self.ready.insert(message.key(), message);
                }
                Err(end) => {
                    ended.push((message.number, place, end));
                    self.promote(message.group.as_ref());
                }
            }
        }
        ended
    }

    /// Returns true if there are no messages and no batches in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
            && self.resting.is_empty()
            && self.in_flight.is_empty()
            && self.groups.is_empty()
    }

    /// Returns the number of messages in the next batch, and true if no other message could join it.
    fn first_batch(&self, now: Instant) -> (usize, bool) {
        let (mut count, mut bytes) = (0, 0);
        for message in self.ready.values() {
            let is_full = count == MAX_BATCH_ENTRIES || bytes + message.bytes > MAX_BATCH_BYTES;
            if count > 0 && (is_full || message.alone || message.is_forgotten(now)) {
                return (count, true);
            }
            (count, bytes) = (count + 1, bytes + message.bytes);
            if message.alone {
                return (count, true);
            }
        }
        (count, count == MAX_BATCH_ENTRIES)
    }

    fn wake_resting(&mut self, now: Instant) {
        while let Some(entry) = self.resting.first_entry().filter(|entry| entry.key().0 <= now) {
            let (key, message) = entry.remove_entry();
            // It is due since its time, and leaves before all messages that came later.
            self.ready.insert(key, Waiting { due: key.0, ..message });
        }
    }

    /// Lets the next message of a group replace the one that has ended.
    fn promote(&mut self, group: Option<&Arc<str>>) {
        let next = group.and_then(|group| self.groups.leave(group));
        self.ready.extend(next.map(|message| (message.key(), message)));
    }
}

/// The next step after the response for one message.
#[derive(Clone, Copy)]
enum Next {
    Ends(End),
    /// Another attempt after a wait; the end if there were enough attempts.
    Again {
        or_else: End,
    },
    /// Another attempt immediately, in a separate batch.
    SplitOff,
}

impl Waiting {
    fn key(&self) -> (Instant, Number) {
        (self.due, self.number)
    }

    /// Returns true if a FIFO queue would accept the message twice, because it no longer remembers it.
    fn is_forgotten(&self, now: Instant) -> bool {
        self.group.is_some() && self.in_doubt_since.is_some_and(|since| now > since + RESEND_WITHIN)
    }

    /// Returns the time of the next attempt, `None` for immediately; or the end.
    fn next_try(&self, now: Instant, next: Next, jitter: Jitter) -> Result<Option<Instant>, End> {
        match next {
            Next::Ends(end) => Err(end),
            Next::SplitOff => Ok(None),
            Next::Again { or_else } => {
                let attempt = NonZeroU32::new(self.tries).unwrap_or(NonZeroU32::MIN);
                let at = now + backoff().delay(attempt, jitter);
                if self.tries >= TRIES || self.is_forgotten(at) { Err(or_else) } else { Ok(Some(at)) }
            }
        }
    }

    /// Returns the end of an unsent message, unless an earlier attempt may have sent it.
    fn unless_in_doubt(&self, end: End) -> End {
        if self.in_doubt_since.is_some() { End::InDoubt } else { end }
    }

    fn after_entry(&mut self, answer: EntryAnswer, left_at: Instant, sends_again: bool) -> Next {
        match answer {
            EntryAnswer::Sent => Next::Ends(End::Sent),
            EntryAnswer::Refused => Next::Ends(self.unless_in_doubt(End::Refused)),
            EntryAnswer::Failed => Next::Again { or_else: self.unless_in_doubt(End::NotSent) },
            EntryAnswer::InDoubt => self.after_lost_answer(left_at, sends_again),
        }
    }

    fn after_lost_answer(&mut self, left_at: Instant, sends_again: bool) -> Next {
        self.in_doubt_since.get_or_insert(left_at);
        if sends_again { Next::Again { or_else: End::InDoubt } } else { Next::Ends(End::InDoubt) }
    }

    fn after_failure(
        &mut self,
        failure: RequestFailure,
        left_at: Instant,
        may_split: bool,
        sends_again: bool,
    ) -> Next {
        match failure {
            RequestFailure::Passing => Next::Again { or_else: self.unless_in_doubt(End::NotSent) },
            RequestFailure::InDoubt => self.after_lost_answer(left_at, sends_again),
            RequestFailure::Refused if may_split => {
                self.alone = true;
                Next::SplitOff
            }
            RequestFailure::Refused => Next::Ends(self.unless_in_doubt(End::Refused)),
            RequestFailure::Hopeless => Next::Ends(self.unless_in_doubt(End::NotSent)),
            RequestFailure::Broken => Next::Ends(End::InDoubt),
        }
    }
}

/// Returns the waits between the attempts of one message.
fn backoff() -> RetryPolicy {
    RetryPolicy::default().with_jitter(JitterMode::Equal)
}
