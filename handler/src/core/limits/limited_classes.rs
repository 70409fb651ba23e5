//! The classes of one queue's jobs that were recently refused.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::job_class::JobClass;
use super::wait::LimitWait;

/// A class counts as limited until this many of its jobs in a row were admitted at once: more than three receives return, and
/// more than most bursts allow.
const ADMITTED_IN_A_ROW: u32 = 32;

/// The maximum number of classes that are kept besides those of held messages: there may be one for each customer.
const MOST_CLASSES: usize = 1_000;

/// The classes of one queue's jobs that were recently refused, shared by its ledger and its runs.
#[derive(Debug, Default)]
pub(super) struct LimitedClasses {
    classes: Mutex<HashMap<JobClass, Limited>>,
    /// The jobs of these classes that were admitted at once.
    admitted: AtomicU64,
    /// The jobs of other classes, and of no class, that were admitted.
    others: AtomicU64,
}

#[derive(Debug)]
struct Limited {
    /// The messages that the ledger holds.
    held: usize,
    wait: LimitWait,
    admitted_in_a_row: u32,
}

impl LimitedClasses {
    /// Returns the wait of a job because messages of its class are held: it comes after them.
    pub(super) fn held_before(&self, class: &JobClass) -> Option<LimitWait> {
        let classes = self.classes();
        classes.get(class).filter(|limited| limited.held > 0).map(|limited| limited.wait)
    }

    /// A job was refused.
    pub(super) fn refused(&self, class: &JobClass, wait: LimitWait) {
        let mut classes = self.classes();
        if classes.len() >= MOST_CLASSES {
            classes.retain(|_, limited| limited.held > 0);
        }
        let limited = classes.entry(class.clone()).or_insert(Limited { held: 0, wait, admitted_in_a_row: 0 });
        (limited.wait, limited.admitted_in_a_row) = (wait, 0);
    }

    /// A job was admitted at once; `None` for a job without a limit.
    pub(super) fn admitted(&self, class: Option<&JobClass>) {
        let is_limited = class.is_some_and(|class| self.stays_limited(class));
        let count = if is_limited { &self.admitted } else { &self.others };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// A job of the class was admitted at once. Returns true if the class still counts as limited.
    fn stays_limited(&self, class: &JobClass) -> bool {
        let mut classes = self.classes();
        let Some(limited) = classes.get_mut(class) else { return false };
        limited.admitted_in_a_row += 1;
        if limited.held > 0 || limited.admitted_in_a_row < ADMITTED_IN_A_ROW {
            return true;
        }
        classes.remove(class);
        false
    }

    /// A message of the class is held.
    pub(super) fn held(&self, class: &JobClass, wait: LimitWait) {
        let mut classes = self.classes();
        let limited = classes.entry(class.clone()).or_insert(Limited { held: 0, wait, admitted_in_a_row: 0 });
        limited.held += 1;
    }

    /// A message of the class is no longer held.
    pub(super) fn left(&self, class: &JobClass) {
        if let Some(limited) = self.classes().get_mut(class) {
            limited.held = limited.held.saturating_sub(1);
        }
    }

    /// The jobs that were admitted at once: those of recently refused classes, and all others.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.admitted.load(Ordering::Relaxed), self.others.load(Ordering::Relaxed))
    }

    fn classes(&self) -> MutexGuard<'_, HashMap<JobClass, Limited>> {
        self.classes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::limits::LimitReason;

    const WAIT: LimitWait = LimitWait { reason: LimitReason::Concurrency, until: None };

    #[test]
    fn a_class_is_limited_until_many_jobs_in_a_row_were_admitted() {
        let (classes, mail) = (LimitedClasses::default(), JobClass::of_type("mail"));
        classes.admitted(None);
        classes.admitted(Some(&mail));
        assert_eq!(classes.counts(), (0, 2));
        classes.refused(&mail, WAIT);
        let most = ADMITTED_IN_A_ROW;
        for _ in 1..most {
            classes.admitted(Some(&mail));
        }
        classes.refused(&mail, WAIT);
        assert_eq!(classes.counts(), (u64::from(most) - 1, 2));
        for _ in 0..=most {
            classes.admitted(Some(&mail));
        }
        assert_eq!(classes.counts(), (2 * u64::from(most) - 2, 4));
    }

    #[test]
    fn a_job_comes_after_the_held_ones_of_its_class() {
        let (classes, mail) = (LimitedClasses::default(), JobClass::of_type("mail"));
        classes.refused(&mail, WAIT);
        assert_eq!(classes.held_before(&mail), None);
        classes.held(&mail, WAIT);
        classes.held(&mail, WAIT);
        assert_eq!(classes.held_before(&mail), Some(WAIT));
        assert_eq!(classes.held_before(&JobClass::of_type("other")), None);
        classes.left(&mail);
        classes.left(&mail);
        assert_eq!(classes.held_before(&mail), None);
    }

    #[test]
    fn classes_are_bounded() {
        let classes = LimitedClasses::default();
        let class = |n: usize| JobClass { key: Some(n.to_string().into()), ..JobClass::of_type("mail") };
        classes.held(&class(0), WAIT);
        for n in 1..3 * MOST_CLASSES {
            classes.refused(&class(n), WAIT);
        }
        assert!(classes.classes().len() <= MOST_CLASSES);
        assert_eq!(classes.held_before(&class(0)), Some(WAIT));
    }
}
