//! The turns of queues that wait for one limit, so that the first to request does not get every permit.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::limited_classes::LimitedClasses;

/// The time in which the other queues may request before the queue that had the last permit: their loops wake up well within
/// it. It expires, so that a queue without a slot delays no other.
const HEAD_START: Duration = Duration::from_millis(2);

/// The queues with held messages for one limit, each by the handle of its ledger.
#[derive(Debug, Default)]
pub(super) struct QueueTurns {
    waiting: Vec<(Weak<LimitedClasses>, usize)>,
    /// The queue that had the last permit.
    last: Weak<LimitedClasses>,
    head_start: Option<Instant>,
}

impl QueueTurns {
    /// A message of the queue is held.
    pub(super) fn held(&mut self, queue: &Arc<LimitedClasses>) {
        match self.waiting.iter_mut().find(|(other, _)| is(other, queue)) {
            Some((_, count)) => *count += 1,
            None => self.waiting.push((Arc::downgrade(queue), 1)),
        }
    }

    /// A message of the queue is no longer held.
    pub(super) fn left(&mut self, queue: &Arc<LimitedClasses>) {
        for (_, count) in self.waiting.iter_mut().filter(|(other, _)| is(other, queue)) {
            *count = count.saturating_sub(1);
        }
        // A dropped ledger holds none.
        self.waiting.retain(|(other, count)| *count > 0 && other.strong_count() > 0);
    }

    /// Returns true if no queue waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns the time until which a queue lets the others request first: it had the last permit, and others wait.
    pub(super) fn gives_way(&mut self, now: Instant, queue: &Arc<LimitedClasses>) -> Option<Instant> {
        let others = |(other, _): &(Weak<_>, usize)| other.strong_count() > 0 && !is(other, queue);
        if !is(&self.last, queue) || !self.waiting.iter().any(others) {
            return None;
        }
        let until = *self.head_start.get_or_insert(now + HEAD_START);
        (now < until).then_some(until)
    }

    /// The queue has a permit.
    pub(super) fn granted(&mut self, queue: &Arc<LimitedClasses>) {
        self.last = Arc::downgrade(queue);
        self.head_start = None;
    }

    /// There is none now, or one is free again: the next head start begins with the next request.
    pub(super) fn changed(&mut self) {
        self.head_start = None;
    }
}

fn is(other: &Weak<LimitedClasses>, queue: &Arc<LimitedClasses>) -> bool {
    std::ptr::eq(other.as_ptr(), Arc::as_ptr(queue))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test's own clock")]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_had_the_last_permit_gives_way_for_a_moment() {
        let (mut turns, now) = (QueueTurns::default(), Instant::now());
        let (one, other) = (Arc::default(), Arc::default());
        turns.held(&one);
        turns.granted(&one);
        assert_eq!(turns.gives_way(now, &one), None, "no other waits");
        turns.held(&other);
        assert_eq!(turns.gives_way(now, &other), None);
        let until = now + HEAD_START;
        assert_eq!(turns.gives_way(now, &one), Some(until));
        assert_eq!(turns.gives_way(until, &one), None, "the other had its time");
        turns.changed();
        assert_eq!(turns.gives_way(until, &one), Some(until + HEAD_START));
        turns.granted(&other);
        assert_eq!(turns.gives_way(until, &one), None);
        drop(other);
        turns.granted(&one);
        assert_eq!(turns.gives_way(until, &one), None, "the other is gone");
    }
}
