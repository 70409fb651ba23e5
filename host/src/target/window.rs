//! The failures of the last half minute, and what they say of the target.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Failures that are longer ago say nothing of now.
const LASTS: Duration = Duration::from_secs(30);

/// So many messages must have failed in a row: one or two may be bad themselves.
const FEWEST: usize = 3;

/// An answer within this time before a failure shows that the target works.
const RECENT: Duration = Duration::from_secs(5);

/// The most failures and types that are kept.
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
    /// The types that have been sent to the target at all.
    types: BTreeSet<Arc<str>>,
    answered_at: Option<Instant>,
}

impl Window {
    /// Records a failure.
    pub(super) fn failed(&mut self, now: Instant, job_type: &str, message_id: &str) {
        let job_type = self.knows(job_type);
        self.failures.retain(|failed| *failed.message_id != *message_id);
        if self.failures.len() == MOST {
            self.failures.pop_front();
        }
        self.failures.push_back(Failed { at: now, job_type, message_id: message_id.into() });
    }

    /// Returns true if the failures say that the target as a whole is unhealthy.
    pub(super) fn is_target(&mut self, now: Instant) -> bool {
        self.failures.retain(|failed| failed.at + LASTS > now);
        let failing: BTreeSet<&str> = self.failures.iter().map(|failed| &*failed.job_type).collect();
        self.failures.len() >= FEWEST && (failing.len() > 1 || self.types.len() == 1)
    }

    /// Records an answer that is no failure of the target.
    pub(super) fn answered(&mut self, now: Instant, job_type: &str) {
        if !self.types.contains(job_type) {
            self.knows(job_type);
        }
        self.failures.clear();
        self.answered_at = Some(now);
    }

    /// Returns true if the target has answered a moment ago.
    pub(super) fn answered_recently(&self, now: Instant) -> bool {
        self.answered_at.is_some_and(|at| now < at + RECENT)
    }

    /// The target is healthy again: earlier failures do not count.
    pub(super) fn forget(&mut self) {
        self.failures.clear();
    }

    fn knows(&mut self, job_type: &str) -> Arc<str> {
        if let Some(known) = self.types.get(job_type) {
            return Arc::clone(known);
        }
        let job_type: Arc<str> = job_type.into();
        if self.types.len() < MOST {
            self.types.insert(Arc::clone(&job_type));
        }
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
    async fn answers_and_time_clear_what_was() {
        let (mut window, now) = (Window::default(), Instant::now());
        window.failed(now, "a", "1");
        window.failed(now, "a", "2");
        window.answered(now, "a");
        assert!(!fails(&mut window, now, "a", "3"));
        assert!(window.answered_recently(now + secs(4)) && !window.answered_recently(now + secs(5)));
        window.failed(now, "a", "4");
        assert!(!fails(&mut window, now + secs(31), "a", "5"), "the others are too long ago");
    }
}
