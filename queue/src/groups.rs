//! The message groups of a FIFO queue, and which of them may be received from.
//!
//! A group is open when none of its messages is in flight and its first message is visible. Open groups are served in
//! the order in which they opened, so one group that fails again and again does not hold up the others.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html>

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::message::State;
use crate::time::Timestamp;

/// A group's place among the open groups: since when it is open, and its first message.
type Place = (Timestamp, u64);

#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: HashMap<Arc<str>, Group>,
    open: BTreeMap<Place, Arc<str>>,
}

#[derive(Debug, Default)]
struct Group {
    /// Every message of the group, in order.
    members: BTreeSet<u64>,
    visible: BTreeSet<u64>,
    in_flight: usize,
    place: Option<Place>,
}

impl Groups {
    /// A message of `group` has entered `state`.
    pub(crate) fn enter(&mut self, group: &Arc<str>, key: u64, state: State, now: Timestamp) {
        let entry = self.groups.entry(Arc::clone(group)).or_default();
        entry.members.insert(key);
        match state {
            State::Delayed { .. } => {}
            State::Visible { .. } => {
                entry.visible.insert(key);
            }
            State::InFlight { .. } => entry.in_flight += 1,
        }
        self.refresh(group, now);
    }

    /// A message of `group` is leaving `state`.
    pub(crate) fn leave(&mut self, group: &Arc<str>, key: u64, state: State, now: Timestamp) {
        let entry = self.groups.get_mut(group).expect("a stored message's group exists");
        entry.members.remove(&key);
        match state {
            State::Delayed { .. } => {}
            State::Visible { .. } => {
                entry.visible.remove(&key);
            }
            State::InFlight { .. } => entry.in_flight -= 1,
        }
        self.refresh(group, now);
    }

    /// The first message of the group that has been open longest.
    pub(crate) fn first_open(&self) -> Option<u64> {
        self.open.first_key_value().map(|((_, head), _)| *head)
    }

    /// The message after `key` in its group, if it is visible.
    pub(crate) fn visible_after(&self, group: &str, key: u64) -> Option<u64> {
        let group = self.groups.get(group)?;
        let next = *group.members.range(key + 1..).next()?;
        group.visible.contains(&next).then_some(next)
    }

    fn refresh(&mut self, group: &Arc<str>, now: Timestamp) {
        let entry = self.groups.get_mut(group).expect("refreshed after a change to it");
        let head = entry.members.first().copied();
        let open = head.filter(|head| entry.in_flight == 0 && entry.visible.contains(head));
        let place = match (open, entry.place) {
            (Some(head), Some((since, _))) => Some((since, head)),
            (Some(head), None) => Some((now, head)),
            (None, _) => None,
        };
        if place != entry.place {
            if let Some(old) = entry.place {
                self.open.remove(&old);
            }
            if let Some(new) = place {
                self.open.insert(new, Arc::clone(group));
            }
            entry.place = place;
        }
        if head.is_none() {
            self.groups.remove(group);
        }
    }
}
