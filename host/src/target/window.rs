//! The failures of the last half minute, and the decision about the target.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Older failures are no evidence about the current state.
const LASTS: Duration = Duration::from_secs(30);

/// The number of consecutive messages that must have failed: one or two may be invalid themselves.
const FEWEST: usize = 3;

/// An answer within this time before a failure shows that the target works.
const RECENT: Duration = Duration::from_secs(5);

/// A type that was sent longer ago is no evidence about the target, because it may have no more messages.
const TYPE_LASTS: Duration = Duration::from_secs(120);

/// The maximum number of failures and types that are kept.
const MOST: usize = 64;

#[derive(Debug)]
struct Failed {
    at: Instant,
    job_type: Arc<str>,
    message_id: Arc<str>,
}

/// The failures since the last proper answer.
#[derive(Debug, Default)]
pub(super) struct Window {
    failures: VecDeque<Failed>,
    /// The types that were recently sent to the target, with the time of the last answer or failure.
    types: BTreeMap<Arc<str>, Instant>,
    answered_at: Option<Instant>,
}

impl Window {
    /// Records a failure.
    pub(super) fn failed(&mut self, now: Instant, job_type: &str, message_id: &str) {
        let job_type = self.saw(now, job_type);
        self.failures.retain(|failed| *failed.message_id != *message_id);
        if self.failures.len() == MOST {
            self.failures.pop_front();
        }
        self.failures.push_back(Failed { at: now, job_type, message_id: message_id.into() });
    }

    /// Returns true if the failures show that the target as a whole is unhealthy.
    pub(super) fn is_target(&mut self, now: Instant) -> bool {
        self.failures.retain(|failed| failed.at + LASTS > now);
        let failing: BTreeSet<&str> = self.failures.iter().map(|failed| &*failed.job_type).collect();
        let recent = self.types.values().filter(|seen| **seen + TYPE_LASTS > now).count();
        self.failures.len() >= FEWEST && (failing.len() > 1 || recent == 1)
    }

    /// Records an answer that is no failure of the target.
    pub(super) fn answered(&mut self, now: Instant, job_type: &str) {
        self.saw(now, job_type);
        self.failures.clear();
        self.answered_at = Some(now);
    }

    /// Returns true if the target works, because it has just answered and only a few messages, or those of one type, have
    /// failed since then.
    pub(super) fn works(&self, now: Instant) -> bool {
        let failing: BTreeSet<&str> = self.failures.iter().map(|failed| &*failed.job_type).collect();
        let fails = self.failures.len() >= FEWEST && failing.len() > 1;
        !fails && self.answered_at.is_some_and(|at| now < at + RECENT)
    }

    /// Records that the target is healthy again: earlier failures do not count.
    pub(super) fn forget(&mut self) {
        self.failures.clear();
    }

    fn saw(&mut self, now: Instant, job_type: &str) -> Arc<str> {
        let known = self.types.get_key_value(job_type).map(|(known, _)| Arc::clone(known));
        let job_type = known.unwrap_or_else(|| job_type.into());
        if self.types.len() == MOST && !self.types.contains_key(&job_type) {
            let oldest =
                self.types.iter().min_by_key(|(_, seen)| **seen).map(|(oldest, _)| Arc::clone(oldest));
            oldest.and_then(|oldest| self.types.remove(&oldest));
        }
        self.types.insert(Arc::clone(&job_type), now);
        job_type
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// Records a failure, and returns true if it is the target's.
    fn fails(window: &mut Window, now: Instant, job_type: &str, message_id: &str) -> bool {
        window.failed(now, job_type, message_id);
        window.is_target(now)
    }

    #[tokio::test(start_paused = true)]
    async fn several_messages_of_several_types_are_the_target() {
        let (mut window, now) = (Window::default(), Instant::now());
        assert!(!fails(&mut window, now, "a", "1"));
        assert!(!fails(&mut window, now, "b", "2"));
        assert!(!fails(&mut window, now, "b", "2"), "the same message again");
        assert!(fails(&mut window, now, "a", "3"));
    }

    #[tokio::test(start_paused = true)]
    async fn one_failing_type_is_the_target_only_if_there_is_no_other() {
        let (mut window, now) = (Window::default(), Instant::now());
        assert_eq!(["1", "2", "3"].map(|id| fails(&mut window, now, "a", id)), [false, false, true]);
        window.answered(now, "b");
        assert!(["4", "5", "6", "7"].iter().all(|id| !fails(&mut window, now, "a", id)));
        assert!(fails(&mut window, now, "b", "8"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_type_that_was_sent_long_ago_does_not_count() {
        let (mut window, now) = (Window::default(), Instant::now());
        window.answered(now, "b");
        let later = now + secs(119);
        assert!(["1", "2", "3"].iter().all(|id| !fails(&mut window, later, "a", id)));
        assert!(fails(&mut window, now + secs(120), "a", "4"));
    }

    #[tokio::test(start_paused = true)]
    async fn several_failures_of_several_types_outweigh_a_recent_answer() {
        let (mut window, now) = (Window::default(), Instant::now());
        window.answered(now, "a");
        for id in ["1", "2", "3"] {
            window.failed(now, "a", id);
            assert!(window.works(now), "one type alone");
        }
        window.failed(now, "b", "4");
        assert!(!window.works(now) && window.is_target(now));
        window.answered(now, "a");
        assert!(window.works(now));
    }

    #[tokio::test(start_paused = true)]
    async fn the_types_are_bounded() {
        let (mut window, now) = (Window::default(), Instant::now());
        for n in 0..MOST as u64 + 10 {
            window.answered(now + secs(n), &n.to_string());
        }
        assert_eq!(window.types.len(), MOST);
        assert!(!window.types.contains_key("9") && window.types.contains_key("10"));
    }

    #[tokio::test(start_paused = true)]
    async fn answers_and_time_clear_what_was() {
        let (mut window, now) = (Window::default(), Instant::now());
        window.failed(now, "a", "1");
        window.failed(now, "a", "2");
        window.answered(now, "a");
        assert!(!fails(&mut window, now, "a", "3"));
        assert!(window.works(now + secs(4)) && !window.works(now + secs(5)));
        window.failed(now, "a", "4");
        assert!(!fails(&mut window, now + secs(31), "a", "5"), "the others are too long ago");
    }
}
