//! Combines messages into batches by count, time, and the size of the event.
//!
//! The code has no clock and no queue: the caller passes the time and the received messages.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The maximum number of messages of one receive.
pub(crate) const RECEIVE: usize = 10;

/// The bounds of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The maximum number of messages.
    pub(crate) count: usize,
    /// The maximum total size of all records, in bytes.
    pub(crate) bytes: usize,
    /// The time that the first message waits for others.
    pub(crate) window: Duration,
}

/// Messages that wait until their batch is complete.
#[derive(Debug)]
pub(crate) struct Batching<M> {
    bounds: Bounds,
    /// Messages with the size of their records.
    waiting: VecDeque<(M, usize)>,
    /// The time at which the first one arrived, or did not fit into the batch before.
    since: Option<Instant>,
}

impl<M> Batching<M> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, waiting: VecDeque::new(), since: None }
    }

    /// Returns how many messages the next receive may take.
    pub(crate) fn wanted(&self) -> usize {
        self.bounds.count.saturating_sub(self.waiting.len()).min(RECEIVE)
    }

    /// Adds messages with the sizes of their records.
    pub(crate) fn received(&mut self, now: Instant, messages: impl IntoIterator<Item = (M, usize)>) {
        self.waiting.extend(messages);
        if !self.waiting.is_empty() {
            self.since.get_or_insert(now);
        }
    }

    /// Returns the time at which the batch is complete at the latest; `None` without messages.
    pub(crate) fn closes_at(&self) -> Option<Instant> {
        Some(self.since? + self.bounds.window)
    }

    /// Returns the batch if it is complete: full by count or size, or its window has passed. Messages that do not fit start the
    /// next batch.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Vec<M>> {
        let mut bytes = 0;
        let fit = self.waiting.iter().take(self.bounds.count).take_while(|(_, size)| {
            bytes += size;
            bytes <= self.bounds.bytes
        });
        // A message that is too large by itself is invoked alone, and the event is refused.
        let fit = fit.count().max(1);
        let is_full = fit < self.waiting.len() || fit >= self.bounds.count;
        if self.waiting.is_empty() || !is_full && self.closes_at().is_some_and(|at| now < at) {
            return None;
        }
        let batch = self.waiting.drain(..fit).map(|(message, _)| message).collect();
        self.since = (!self.waiting.is_empty()).then_some(now);
        Some(batch)
    }

    /// Removes and returns the waiting messages for which `is_such` returns true.
    pub(crate) fn remove(&mut self, is_such: impl Fn(&M) -> bool) -> Vec<M> {
        let (removed, left): (VecDeque<_>, _) =
            self.waiting.drain(..).partition(|(message, _)| is_such(message));
        self.waiting = left;
        if self.waiting.is_empty() {
            self.since = None;
        }
        removed.into_iter().map(|(message, _)| message).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn batching(count: usize, window: Duration) -> Batching<u32> {
        Batching::new(Bounds { count, bytes: 100, window })
    }

    fn receive(batching: &mut Batching<u32>, now: Instant, messages: &[(u32, usize)]) {
        batching.received(now, messages.iter().copied());
    }

    #[test]
    fn without_a_window_each_receive_is_a_batch() {
        let (mut batching, now) = (batching(10, Duration::ZERO), Instant::now());
        assert_eq!((batching.wanted(), batching.take(now), batching.closes_at()), (10, None, None));
        receive(&mut batching, now, &[]);
        assert_eq!(batching.take(now), None);
        receive(&mut batching, now, &[(1, 1), (2, 1)]);
        assert_eq!(batching.take(now), Some(vec![1, 2]));
        assert_eq!(batching.take(now), None);
    }

    #[test]
    fn a_window_begins_with_the_first_message() {
        let (mut batching, now) = (batching(25, 5 * SECOND), Instant::now());
        receive(&mut batching, now, &[(1, 1)]);
        receive(&mut batching, now + 3 * SECOND, &[(2, 1)]);
        assert_eq!(batching.closes_at(), Some(now + 5 * SECOND));
        assert_eq!(batching.take(now + 4 * SECOND), None);
        assert_eq!(batching.take(now + 5 * SECOND), Some(vec![1, 2]));
        assert_eq!(batching.closes_at(), None);
    }

    #[test]
    fn a_full_batch_does_not_wait_for_its_window() {
        let (mut batching, now) = (batching(12, 5 * SECOND), Instant::now());
        receive(&mut batching, now, &[(0, 1); 10]);
        assert_eq!((batching.wanted(), batching.take(now)), (2, None));
        receive(&mut batching, now, &[(1, 1), (2, 1)]);
        assert_eq!(batching.take(now).map(|batch| batch.len()), Some(12));
    }

    #[test]
    fn a_batch_closes_at_its_size_and_the_rest_starts_the_next() {
        let (mut batching, now) = (batching(10, 5 * SECOND), Instant::now());
        receive(&mut batching, now, &[(1, 60), (2, 40), (3, 1), (4, 200)]);
        let later = now + SECOND;
        assert_eq!(batching.take(later), Some(vec![1, 2]));
        assert_eq!(batching.take(later), Some(vec![3]), "the next message does not fit");
        assert_eq!(batching.take(now + 5 * SECOND), None, "it waits for others, for a new window");
        assert_eq!(batching.take(later + 5 * SECOND), Some(vec![4]), "a message that is too large is alone");
    }

    #[test]
    fn messages_can_be_taken_out() {
        let (mut batching, now) = (batching(10, 5 * SECOND), Instant::now());
        receive(&mut batching, now, &[(1, 1), (2, 1), (3, 1)]);
        assert_eq!(batching.remove(|message| message % 2 == 1), [1, 3]);
        assert_eq!(batching.remove(|_| true), [2]);
        assert_eq!(batching.closes_at(), None);
    }
}
