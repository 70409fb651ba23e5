//! The reports of a ledger on its waiting messages: their number for each limit, and the first of each class.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::job_class::JobClass;
use super::limit_reason::LimitReason;
use super::process::Limits;
use super::wait::LimitWait;

/// The maximum number of classes whose messages are counted at every turn of the ledger. A rate may have any number of keys:
/// with more classes, they are counted at most every [`COUNT_EVERY`].
const FEW_CLASSES: usize = 16;

/// The time between two counts if there are many classes.
const COUNT_EVERY: Duration = Duration::from_millis(100);

/// The number of waiting messages by type and limit.
type Counts = BTreeMap<(Arc<str>, LimitReason), usize>;

/// The reports on the waiting messages of one ledger so far. The [`Limits`] have the sum over all ledgers.
#[derive(Debug, Default)]
pub(crate) struct WaitReports {
    limits: Option<Limits>,
    /// The last refusal of each class with held messages.
    refused: HashMap<JobClass, LimitWait>,
    reported: Counts,
    /// The time at which the messages of many classes are counted again.
    next_count: Option<Instant>,
}

/// The number of messages of a type that wait for a limit has changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CountChange {
    pub(crate) job_type: Arc<str>,
    pub(crate) reason: LimitReason,
    pub(crate) before: usize,
    pub(crate) count: usize,
}

/// The news about the waiting messages.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct WaitChanges {
    /// The numbers of messages that have changed.
    pub(crate) counts: Vec<CountChange>,
    /// The classes that wait for a limit, and did not within the last minute.
    pub(crate) begun: Vec<(JobClass, LimitWait)>,
}

impl WaitReports {
    /// Reports to these limits from now on.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = Some(limits);
    }

    /// A job of the class has to wait.
    pub(crate) fn refused(&mut self, class: &JobClass, wait: LimitWait) {
        match self.refused.get_mut(class) {
            Some(known) => *known = wait,
            None => drop(self.refused.insert(class.clone(), wait)),
        }
    }

    /// Returns true if no messages wait as far as has been reported.
    pub(crate) fn is_empty(&self) -> bool {
        self.reported.is_empty() && self.refused.is_empty()
    }

    /// Takes over the held messages of each class. Returns the changes since the last time.
    pub(crate) fn update<'a>(
        &mut self,
        now: Instant,
        held: impl ExactSizeIterator<Item = (&'a JobClass, usize)>,
    ) -> WaitChanges {
        let mut changes = WaitChanges::default();
        if held.len() > FEW_CLASSES {
            if self.next_count.is_some_and(|next| now < next) {
                return changes;
            }
            self.next_count = Some(now + COUNT_EVERY);
        }
        let (mut counts, mut refused) = (Counts::new(), HashMap::new());
        for (class, count) in held {
            let Some(wait) = self.refused.remove(class) else { continue };
            *counts.entry((Arc::clone(&class.job_type), wait.reason)).or_default() += count;
            if self.limits.as_ref().is_some_and(|limits| limits.wait_begins(now, class, wait.reason)) {
                changes.begun.push((class.clone(), wait));
            }
            refused.insert(class.clone(), wait);
        }
        self.refused = refused;
        self.set_counts(counts, &mut changes);
        changes
    }

    fn set_counts(&mut self, counts: Counts, changes: &mut WaitChanges) {
        if counts == self.reported {
            return;
        }
        let former = std::mem::replace(&mut self.reported, counts);
        let gone = former.keys().filter(|key| !self.reported.contains_key(*key));
        for key @ (job_type, reason) in gone.chain(self.reported.keys()) {
            let count_in = |counts: &Counts| counts.get(key).copied().unwrap_or_default();
            let (before, count) = (count_in(&former), count_in(&self.reported));
            if before != count {
                if let Some(limits) = &self.limits {
                    limits.waiting_changed(job_type, *reason, before, count);
                }
                changes.counts.push(CountChange {
                    job_type: Arc::clone(job_type),
                    reason: *reason,
                    before,
                    count,
                });
            }
        }
    }
}

/// A dropped ledger has no messages: a Lambda function has one ledger for each batch.
impl Drop for WaitReports {
    fn drop(&mut self) {
        if let Some(limits) = &self.limits {
            for ((job_type, reason), count) in &self.reported {
                limits.waiting_changed(job_type, *reason, *count, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::core::limits::LimitRules;
    use std::num::NonZeroUsize;

    fn wait(reason: LimitReason) -> LimitWait {
        LimitWait { reason, until: None }
    }

    #[allow(clippy::disallowed_methods, reason = "a test's own clock")]
    fn now() -> Instant {
        Instant::now()
    }

    /// Reports to the limits that this many messages of the classes wait for their rate.
    fn update(reports: &mut WaitReports, at: Instant, held: &[(&JobClass, usize)]) -> WaitChanges {
        for (class, _) in held {
            reports.refused(class, wait(LimitReason::Rate));
        }
        reports.update(at, held.iter().copied())
    }

    #[test]
    fn sums_over_classes_are_reported_when_they_change() {
        let (mut reports, at) = (WaitReports::default(), now());
        reports.set_limits(Limits::new(LimitRules::none(NonZeroUsize::MIN)));
        let of = |key: &str| JobClass { key: Some(key.into()), ..JobClass::of_type("mail") };
        let (a, b) = (of("a"), of("b"));
        let change = |reason, before, count| CountChange { job_type: "mail".into(), reason, before, count };
        let changes = update(&mut reports, at, &[(&a, 2), (&b, 1)]);
        assert_eq!(changes.counts, [change(LimitReason::Rate, 0, 3)]);
        assert_eq!(changes.begun.iter().map(|(class, _)| class).collect::<Vec<_>>(), [&a, &b]);
        assert_eq!(update(&mut reports, at, &[(&a, 1), (&b, 2)]), WaitChanges::default(), "three still");
        reports.refused(&a, wait(LimitReason::Throttled));
        let changes = reports.update(at, [(&a, 1)].into_iter());
        assert_eq!(changes.counts, [change(LimitReason::Rate, 3, 0), change(LimitReason::Throttled, 0, 1)]);
        assert_eq!(changes.begun, [(a.clone(), wait(LimitReason::Throttled))]);
        assert!(!reports.is_empty());
        assert_eq!(update(&mut reports, at, &[]).counts, [change(LimitReason::Throttled, 1, 0)]);
        assert!(reports.is_empty());
    }

    #[test]
    fn many_classes_are_counted_ten_times_a_second() {
        let (mut reports, begun) = (WaitReports::default(), now());
        let of = |n: usize| JobClass { key: Some(format!("{n}").into()), ..JobClass::of_type("mail") };
        let classes: Vec<JobClass> = (0..FEW_CLASSES + 2).map(of).collect();
        let held = |count| classes[..count].iter().map(|class| (class, 1)).collect::<Vec<_>>();
        let counted = |reports: &mut WaitReports, ms, count| {
            let at = begun + Duration::from_millis(ms);
            update(reports, at, &held(count)).counts.first().map(|change| change.count)
        };
        assert_eq!(counted(&mut reports, 0, FEW_CLASSES + 2), Some(FEW_CLASSES + 2));
        assert_eq!(counted(&mut reports, 99, FEW_CLASSES + 1), None);
        assert_eq!(counted(&mut reports, 100, FEW_CLASSES + 1), Some(FEW_CLASSES + 1));
        assert_eq!(counted(&mut reports, 101, FEW_CLASSES), Some(FEW_CLASSES), "few at once");
        assert_eq!(counted(&mut reports, 102, 0), Some(0));
    }

    #[test]
    fn a_class_that_waits_in_several_ledgers_is_announced_once() {
        let limits = Limits::new(LimitRules::none(NonZeroUsize::MIN));
        let announced = |secs| {
            let mut reports = WaitReports::default();
            reports.set_limits(limits.clone());
            let at = now() + Duration::from_secs(secs);
            update(&mut reports, at, &[(&JobClass::of_type("mail"), 1)]).begun.len()
        };
        assert_eq!([announced(0), announced(20), announced(40), announced(200)], [1, 0, 0, 1]);
    }

    #[test]
    fn the_limits_know_the_sum_of_all_ledgers_that_are_there() {
        let limits = Limits::new(LimitRules::none(NonZeroUsize::MIN));
        let reports = || {
            let mut reports = WaitReports::default();
            reports.set_limits(limits.clone());
            reports
        };
        let (mut first, mut second, at) = (reports(), reports(), now());
        let mail = JobClass::of_type("mail");
        let waiting = || limits.snapshot(at).first().map(|of_type| of_type.waiting[&LimitReason::Rate]);
        update(&mut first, at, &[(&mail, 3)]);
        update(&mut second, at, &[(&mail, 4)]);
        assert_eq!(waiting(), Some(7));
        update(&mut first, at, &[(&mail, 1)]);
        assert_eq!(waiting(), Some(5));
        drop(second);
        assert_eq!(waiting(), Some(1));
        update(&mut first, at, &[]);
        assert_eq!(waiting(), None);
    }
}
