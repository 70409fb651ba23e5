//! The messages of one queue that wait in hand for their limits.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::job_class::JobClass;
use crate::core::ids::DeliveryId;

/// The messages of a class that are held at most: those that start next. More go back to the queue.
pub(crate) const HELD_PER_CLASS: usize = 10;

/// The messages of one queue that wait in hand for their limits, those of a class in their order.
#[derive(Debug, Default)]
pub(crate) struct HeldMessages {
    classes: BTreeMap<JobClass, Held>,
    count: usize,
}

#[derive(Debug, Default)]
struct Held {
    ids: VecDeque<DeliveryId>,
    /// When the first one may ask again, if that is known.
    until: Option<Instant>,
}

impl HeldMessages {
    /// The number of held messages.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The number of held messages of a class.
    pub(crate) fn of_class(&self, class: &JobClass) -> usize {
        self.classes.get(class).map_or(0, |held| held.ids.len())
    }

    /// Adds a message as the last of its class.
    pub(crate) fn add(&mut self, class: JobClass, id: DeliveryId, until: Option<Instant>) {
        let held = self.classes.entry(class).or_default();
        held.ids.push_back(id);
        held.until = until;
        self.count += 1;
    }

    /// Removes a message. Returns true if it was held.
    pub(crate) fn remove(&mut self, class: &JobClass, id: DeliveryId) -> bool {
        let Some(held) = self.classes.get_mut(class) else { return false };
        let Some(position) = held.ids.iter().position(|held| *held == id) else { return false };
        held.ids.remove(position);
        self.count -= 1;
        if held.ids.is_empty() {
            self.classes.remove(class);
        }
        true
    }

    /// The classes of which messages are held, with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&JobClass, usize)> {
        self.classes.iter().map(|(class, held)| (class, held.ids.len()))
    }

    /// The classes of which messages are held.
    pub(crate) fn classes(&self) -> Vec<JobClass> {
        self.classes.keys().cloned().collect()
    }

    /// The first held message of a class.
    pub(crate) fn first(&self, class: &JobClass) -> Option<DeliveryId> {
        self.classes.get(class)?.ids.front().copied()
    }

    /// Sets when the first message of a class may ask again.
    pub(crate) fn set_until(&mut self, class: &JobClass, until: Option<Instant>) {
        if let Some(held) = self.classes.get_mut(class) {
            held.until = until;
        }
    }

    /// When a message may start at the soonest without another change.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.classes.values().filter_map(|held| held.until).min()
    }
}
