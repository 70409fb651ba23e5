//! The messages of one queue that wait in hand for their limits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::job_class::JobClass;
use super::wait::LimitWait;
use crate::core::ids::DeliveryId;

/// The maximum number of held messages of a class: those that start next. Others are released to the queue, except those on
/// their last receive.
pub(crate) const HELD_PER_CLASS: usize = 10;

/// The time after which a class whose limit allows an immediate request makes it.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// The wait of one message in hand for its limit.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) class: JobClass,
    pub(crate) wait: LimitWait,
    /// The latest time of its release, if it came without a receive, because a response waits for it.
    pub(crate) until: Option<Instant>,
    /// The number of its throttled runs as the probe of the service: messages with fewer come first, because the service may
    /// throttle only this job.
    pub(crate) failed_probes: u8,
    /// It was quarantined before its run.
    pub(crate) is_suspect: bool,
    /// It, or one behind it in its message group, would be in the DLQ after its release.
    pub(crate) is_on_last_receive: bool,
}

/// The messages of one queue that wait in hand for their limits, those of a class in the order of their receipt.
#[derive(Debug, Default)]
pub(crate) struct HeldMessages {
    classes: BTreeMap<JobClass, Held>,
    count: usize,
    on_last_receive: usize,
    /// The changes of the limits up to which every class has requested its permits, or must.
    changes: u64,
}

#[derive(Debug, Default)]
struct Held {
    /// The messages in order: by their failed probes, and then by their receipt.
    ids: BTreeSet<(u8, DeliveryId)>,
    /// The time of the first one's next request, if it is known.
    until: Option<Instant>,
    /// The first one may make its request now: a message has joined, or the limits have changed.
    is_due: bool,
}

impl HeldMessages {
    /// The number of held messages.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The number of messages that would be in the DLQ after their release.
    pub(crate) fn on_last_receive(&self) -> usize {
        self.on_last_receive
    }

    /// The number of held messages of a class.
    pub(crate) fn of_class(&self, class: &JobClass) -> usize {
        self.classes.get(class).map_or(0, |held| held.ids.len())
    }

    /// The number of held messages of the class with the fewest.
    pub(crate) fn fewest_of_a_class(&self) -> usize {
        self.classes.values().map(|held| held.ids.len()).min().unwrap_or_default()
    }

    /// Adds a message to its class.
    pub(crate) fn add(&mut self, id: DeliveryId, hold: &Hold) {
        let in_class = self.classes.entry(hold.class.clone()).or_default();
        if in_class.ids.is_empty() {
            in_class.until = hold.wait.until;
        }
        in_class.ids.insert((hold.failed_probes, id));
        // The limits may have changed since it was refused.
        in_class.is_due = true;
        self.count += 1;
        self.on_last_receive += usize::from(hold.is_on_last_receive);
    }

    /// The classes with held messages, with their numbers.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&JobClass, usize)> {
        self.classes.iter().map(|(class, held)| (class, held.ids.len()))
    }

    /// Removes a message.
    pub(crate) fn remove(&mut self, id: DeliveryId, hold: &Hold) {
        let Some(in_class) = self.classes.get_mut(&hold.class) else { return };
        if !in_class.ids.remove(&(hold.failed_probes, id)) {
            return;
        }
        self.count -= 1;
        self.on_last_receive -= usize::from(hold.is_on_last_receive);
        if in_class.ids.is_empty() {
            self.classes.remove(&hold.class);
        }
    }

    /// The held messages.
    pub(crate) fn ids(&self) -> impl Iterator<Item = DeliveryId> + '_ {
        self.classes.values().flat_map(|held| &held.ids).map(|(_, id)| *id)
    }

    /// The classes that may request a permit now, by the waiting time of their first messages, the longest first. `changes` is
    /// the number of changes of the limits so far.
    pub(crate) fn due(&mut self, now: Instant, changes: u64) -> Vec<JobClass> {
        let has_changed = std::mem::replace(&mut self.changes, changes) != changes;
        let mut due = Vec::new();
        for (class, of_class) in &mut self.classes {
            of_class.is_due |= has_changed || of_class.until.is_some_and(|until| until <= now);
            if of_class.is_due {
                due.push((of_class.ids.first().copied(), class.clone()));
            }
        }
        due.sort();
        due.into_iter().map(|(_, class)| class).collect()
    }

    /// Returns true if a message of a class may request its permit now.
    pub(crate) fn is_any_due(&self, now: Instant, changes: u64) -> bool {
        let is_due = |held: &Held| held.is_due || held.until.is_some_and(|until| until <= now);
        self.count > 0 && (self.changes != changes || self.classes.values().any(is_due))
    }

    /// The classes with held messages, by the waiting time of their first messages, the longest first.
    pub(crate) fn classes(&self) -> Vec<JobClass> {
        let mut classes: Vec<_> =
            self.classes.iter().map(|(class, held)| (held.ids.first().copied(), class)).collect();
        classes.sort();
        classes.into_iter().map(|(_, class)| class.clone()).collect()
    }

    /// The first message of a class starts with the end of its claim, which is reported. Until then it makes no request.
    pub(crate) fn waits_for_claim(&mut self, class: &JobClass) {
        if let Some(held) = self.classes.get_mut(class) {
            held.until = None;
        }
    }

    /// The first held message of a class.
    pub(crate) fn first(&self, class: &JobClass) -> Option<DeliveryId> {
        self.classes.get(class)?.ids.first().map(|(_, id)| *id)
    }

    /// The first message of a class was refused again.
    pub(crate) fn refused(&mut self, now: Instant, class: &JobClass, until: Option<Instant>) {
        if let Some(held) = self.classes.get_mut(class) {
            held.is_due = false;
            held.until = until.map(|until| until.max(now + SHORTEST_WAIT));
        }
    }

    /// The earliest time at which a message may start without another change.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.classes.values().filter_map(|held| held.until).min()
    }
}
