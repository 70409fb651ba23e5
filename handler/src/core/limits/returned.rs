//! The messages that were returned to their queues because their jobs were limited.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::job_class::JobClass;

/// The minimum time for which a message that was returned before is hidden: its wait costs one receive in ten minutes.
pub(super) const AGAIN: Duration = Duration::from_secs(600);

/// SQS counts in whole seconds.
const SHORTEST: Duration = Duration::from_secs(1);

/// The maximum time for which a message is hidden only for its turn: limits change, and other workers may have room.
const LONGEST: Duration = Duration::from_secs(3600);

/// The minimum number of remembered messages; the maximum is twice that.
const GENERATION: usize = 10_000;

/// The classes whose last turn is remembered.
const MOST_CLASSES: usize = 1_000;

/// The turn of a class: the time from which jobs of it may start, and the time between two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) from: Instant,
    pub(super) interval: Duration,
}

impl Pace {
    /// Returns the turn of a job with this many before it; `None` if it lies beyond all times.
    pub(super) fn turn(self, before: usize) -> Option<Instant> {
        let jobs = u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1);
        self.from.checked_add(self.interval.saturating_mul(jobs))
    }
}

/// The messages that were returned to their queues because their jobs were limited: the number of returns of each, and the time
/// up to which turns are assigned.
#[derive(Debug, Default)]
pub(super) struct ReturnedMessages {
    /// Two generations, as in the [`OutcomeCache`](crate::core::OutcomeCache).
    recent: HashMap<Arc<str>, u32, RandomState>,
    older: HashMap<Arc<str>, u32, RandomState>,
    /// The last turn that was given to a returned message of a class, while it lies ahead.
    turns: HashMap<JobClass, Instant>,
}

impl ReturnedMessages {
    /// Returns the number of returns of a message.
    pub(super) fn of(&self, message_id: &str) -> u32 {
        self.recent.get(message_id).or_else(|| self.older.get(message_id)).copied().unwrap_or_default()
    }

    /// Returns a message of the class, with this many before it in hand. Returns the time for which it is hidden: until its
    /// turn, after those that were returned before it.
    pub(super) fn add(
        &mut self,
        now: Instant,
        class: &JobClass,
        pace: Pace,
        before: usize,
        message_id: &Arc<str>,
        receives: u32,
    ) -> Duration {
        let behind = self.turns.get(class).and_then(|last| last.checked_add(pace.interval));
        let latest = pace.from.max(now) + LONGEST;
        let turn = pace.turn(before).max(behind).map_or(latest, |turn| turn.min(latest));
        if self.turns.len() >= MOST_CLASSES && !self.turns.contains_key(class) {
            self.turns.retain(|_, turn| *turn > now);
            if self.turns.len() >= MOST_CLASSES {
                self.turns.clear();
            }
        }
        self.turns.insert(class.clone(), turn);
        let times = self.of(message_id);
        if self.recent.len() >= GENERATION {
            mem::swap(&mut self.recent, &mut self.older);
            self.recent.clear();
        }
        self.recent.insert(Arc::clone(message_id), times.saturating_add(1));
        // Another worker may have returned it.
        let least = if times > 0 || receives > 1 { AGAIN } else { SHORTEST };
        turn.saturating_duration_since(now).max(least)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test's own clock")]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn each_goes_back_until_its_turn() {
        let (mut returned, now) = (ReturnedMessages::default(), Instant::now());
        let (mail, other) = (JobClass::of_type("mail"), JobClass::of_type("other"));
        let pace = Pace { from: now, interval: secs(2) };
        let mut add = |at: u64, class: &JobClass, pace: Pace, id: &str, receives: u32| {
            let now = now + secs(at);
            returned
                .add(now, class, Pace { from: pace.from.max(now), ..pace }, 10, &id.into(), receives)
                .as_secs()
        };
        assert_eq!(add(0, &mail, pace, "a", 1), 22, "after ten that are held");
        assert_eq!(add(0, &mail, pace, "b", 1), 24, "and after the one before it");
        assert_eq!(add(0, &other, pace, "c", 1), 22, "each class for itself");
        assert_eq!(add(0, &mail, pace, "d", 2), 600, "it may have been returned by another worker");
        assert_eq!(add(1, &mail, pace, "a", 1), 600, "it was returned before");
        assert_eq!(add(1, &mail, pace, "e", 1), 29);
        assert_eq!(add(100, &mail, pace, "f", 1), 22, "those before it have had their turns");
        let slow = Pace { interval: secs(10_000), ..pace };
        assert_eq!(add(0, &JobClass::of_type("slow"), slow, "g", 1), 3600);
        let quick = Pace { interval: Duration::ZERO, ..pace };
        assert_eq!(add(0, &JobClass::of_type("quick"), quick, "h", 1), 1);
        let closed = Pace { from: now + secs(7200), ..pace };
        assert_eq!(add(0, &JobClass::of_type("closed"), closed, "i", 1), 7222, "not before the limit opens");
        let never = Pace { from: now + secs(60), interval: Duration::MAX };
        assert_eq!(add(0, &JobClass::of_type("never"), never, "j", 1), 3660);
    }

    #[test]
    fn the_number_of_returns_is_remembered_of_the_last_messages() {
        let (mut returned, now) = (ReturnedMessages::default(), Instant::now());
        let class = |n: usize| JobClass { key: Some(n.to_string().into()), ..JobClass::of_type("mail") };
        let pace = Pace { from: now, interval: secs(2) };
        for n in 0..5 * GENERATION {
            returned.add(now, &class(n), pace, 0, &n.to_string().into(), 1);
            returned.add(now, &class(n), pace, 0, &n.to_string().into(), 1);
        }
        assert_eq!((returned.of("1"), returned.of(&(5 * GENERATION - 1).to_string())), (0, 2));
        assert!(returned.recent.len() + returned.older.len() <= 2 * GENERATION);
        assert!(returned.turns.len() <= MOST_CLASSES);
    }
}
