//! The times in which classes of jobs wait for their limits, again and again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::job_class::JobClass;
use super::limit_reason::LimitReason;

/// The time without a waiting message after which the wait of a class counts as over. A class at its rate waits briefly many
/// times a minute, and is logged once.
const CALM: Duration = Duration::from_secs(60);

/// The maximum number of classes whose waits are remembered. A rate may have any number of keys; further classes are counted,
/// and not announced.
const MAX_REMEMBERED: usize = 1000;

/// The time at which each class was last seen waiting, by the limit for which it waited.
#[derive(Debug, Default)]
pub(super) struct Episodes(HashMap<(JobClass, LimitReason), Instant>);

impl Episodes {
    /// A class waits. Returns true if it has not waited for a minute.
    pub(super) fn begins(&mut self, now: Instant, class: &JobClass, reason: LimitReason) -> bool {
        let key = (class.clone(), reason);
        if let Some(last) = self.0.get_mut(&key) {
            let was_calm = now.saturating_duration_since(*last) > CALM;
            *last = now;
            return was_calm;
        }
        if self.0.len() >= MAX_REMEMBERED {
            self.0.retain(|_, last| now.saturating_duration_since(*last) <= CALM);
        }
        if self.0.len() >= MAX_REMEMBERED {
            return false;
        }
        self.0.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "a test's own clock")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_class_that_waits_again_and_again_begins_once() {
        let (mut episodes, begun) = (Episodes::default(), now());
        let mail = JobClass::of_type("mail");
        let mut begins = |secs, reason| episodes.begins(begun + Duration::from_secs(secs), &mail, reason);
        assert!(begins(0, LimitReason::Rate));
        for secs in [1, 30, 90, 150] {
            assert!(!begins(secs, LimitReason::Rate), "{secs}");
        }
        assert!(begins(150, LimitReason::Throttled), "another limit");
        assert!(begins(211, LimitReason::Rate), "a minute of calm");
    }

    #[test]
    fn remembered_classes_are_bounded() {
        let (mut episodes, begun) = (Episodes::default(), now());
        let class = |n| JobClass { key: Some(format!("{n}").into()), ..JobClass::of_type("mail") };
        let count_new = |episodes: &mut Episodes, at, numbers: std::ops::Range<usize>| {
            numbers.filter(|n| episodes.begins(at, &class(*n), LimitReason::Rate)).count()
        };
        assert_eq!(count_new(&mut episodes, begun, 0..MAX_REMEMBERED + 500), MAX_REMEMBERED);
        let later = begun + CALM + Duration::from_secs(1);
        assert_eq!(count_new(&mut episodes, later, MAX_REMEMBERED + 500..MAX_REMEMBERED + 510), 10);
        assert!(episodes.0.len() <= MAX_REMEMBERED);
    }
}
