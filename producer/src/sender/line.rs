//! One queue's messages on their way: which leave in one batch, when, and what follows its answer. No I/O, no clock.
//!
//! 1. A batch leaves if it has ten entries, if the next message would make it larger than SQS takes, or if the linger of its oldest
//!    message has passed; and only while fewer than the allowed batches are in flight.
//! 2. Messages leave in the order in which their linger ends. On a FIFO queue one message of a group at most is on its way, see
//!    [`Groups`].
//! 3. An entry that fails in passing waits for its next try outside of every batch, so it holds up nothing but its own group.
//! 4. After a lost answer SQS may have the message, so its end is never [`End::NotSent`] afterwards. It is sent again, unless that is
//!    not wanted: a FIFO queue drops the second one by its deduplication id, as long as that is remembered; a standard queue may have
//!    it twice.
//! 5. A request that SQS refuses as a whole is sent again entry by entry: one caller's message must not fail another's.

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

/// The number of a message, by the order of acceptance.
pub(super) type Number = u64;

/// An action for the task to perform.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A batch leaves now.
    Leave(Batch),
    /// This message ends in doubt: SQS may no longer recognise it if it is sent again.
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
    /// Of FIFO queues: elsewhere a group orders nothing.
    group: Option<Arc<str>>,
    /// The time at which it leaves at the latest, if a batch may leave.
    due: Instant,
    tries: u32,
    /// The time of the first try whose answer was lost.
    in_doubt_since: Option<Instant>,
    /// It leaves in a batch of its own.
    alone: bool,
}

/// The messages of one queue.
#[derive(Debug)]
pub(super) struct Line {
    is_fifo: bool,
    /// Messages are sent again after a lost answer.
    sends_again: bool,
    linger: Duration,
    max_in_flight: usize,
    /// Those that can leave, by the time at which they are due.
    ready: BTreeMap<(Instant, Number), Waiting>,
    /// Those that wait for their next try, by its time.
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

    /// Accepts a message. Numbers grow. One that is too large, since its payload goes into S3 on its way, counts as the largest that is not.
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

    /// Returns the next thing to do now, if there is one.
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

    /// Returns the time at which a batch can leave although nothing happens until then.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        if self.in_flight.len() >= self.max_in_flight {
            return None;
        }
        let first = |waiting: &BTreeMap<(Instant, Number), Waiting>| Some(waiting.first_key_value()?.0.0);
        first(&self.ready).into_iter().chain(first(&self.resting)).min()
    }

    /// Ends the linger of all messages accepted so far. Retries keep their times.
    pub(super) fn hurry(&mut self, now: Instant) {
        let ready = std::mem::take(&mut self.ready);
        self.ready.extend(ready.into_values().map(|mut message| {
            message.due = message.due.min(now);
            (message.key(), message)
        }));
        self.groups.for_each(|message| message.due = message.due.min(now));
    }

    /// Takes the answer to a batch. Returns the messages whose way has ended, each with its place in the batch.
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

    /// Returns true if it holds no message and no batch.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
            && self.resting.is_empty()
            && self.in_flight.is_empty()
            && self.groups.is_empty()
    }

    /// Returns the number of messages of the next batch, and true if no other could join it.
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
            // It is due since its time came, and leaves before all that came later.
            self.ready.insert(key, Waiting { due: key.0, ..message });
        }
    }

    /// Lets the next message of a group take the place of the one that has ended.
    fn promote(&mut self, group: Option<&Arc<str>>) {
        let next = group.and_then(|group| self.groups.leave(group));
        self.ready.extend(next.map(|message| (message.key(), message)));
    }
}

/// The continuation after the answer to one message.
#[derive(Clone, Copy)]
enum Next {
    Ends(End),
    /// Another try after a wait; the end if there have been enough.
    Again {
        or_else: End,
    },
    /// Another try at once, in a batch of its own.
    SplitOff,
}

impl Waiting {
    fn key(&self) -> (Instant, Number) {
        (self.due, self.number)
    }

    /// Returns true if a FIFO queue would take the message twice, since it no longer remembers that it has it.
    fn is_forgotten(&self, now: Instant) -> bool {
        self.group.is_some() && self.in_doubt_since.is_some_and(|since| now > since + RESEND_WITHIN)
    }

    /// Returns the time of the next try, `None` for at once; or the end.
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

    /// Returns the end of a message that is not sent, unless an earlier try may have sent it.
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

/// The waits between the tries of one message.
fn backoff() -> RetryPolicy {
    RetryPolicy::default().with_jitter(JitterMode::Equal)
}
