//! The message groups of a FIFO queue, and which of them can be received from.
//!
//! A message can be received if it and all messages before it in its group are visible: a message in flight or delayed blocks
//! the messages behind it, but not those before it. Therefore a group is open if its first message is visible. Open groups are
//! served in the order in which they opened, so a group that fails repeatedly does not block the others.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html>

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::message::State;
use crate::time::Timestamp;

/// A group's position among the open groups: the time when it opened, and its first message.
type Place = (Timestamp, u64);

#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: HashMap<Arc<str>, Group>,
    open: BTreeMap<Place, Arc<str>>,
}

#[derive(Debug, Default)]
struct Group {
    /// All messages of the group in order. The value is true for visible ones.
    members: BTreeMap<u64, bool>,
    place: Option<Place>,
}

impl Groups {
    /// Records that a message of `group` has entered `state`.
    pub(crate) fn enter(&mut self, group: &Arc<str>, key: u64, state: State, now: Timestamp) {
        let entry = self.groups.entry(Arc::clone(group)).or_default();
        entry.members.insert(key, matches!(state, State::Visible { .. }));
        self.refresh(group, now);
    }

    /// Records that a message of `group` is leaving its state.
    pub(crate) fn leave(&mut self, group: &Arc<str>, key: u64, now: Timestamp) {
        let entry = self.groups.get_mut(group).expect("a stored message's group exists");
        entry.members.remove(&key);
        self.refresh(group, now);
    }

    /// Returns the first message of the group that has been open longest.
    pub(crate) fn first_open(&self) -> Option<u64> {
        self.open.first_key_value().map(|((_, head), _)| *head)
    }

    /// Returns the message after `key` in its group if it is visible: the receive that has just taken `key` may take it too.
    pub(crate) fn visible_after(&self, group: &str, key: u64) -> Option<u64> {
        let (next, visible) = self.groups.get(group)?.members.range(key + 1..).next()?;
        visible.then_some(*next)
    }

    fn refresh(&mut self, group: &Arc<str>, now: Timestamp) {
        let entry = self.groups.get_mut(group).expect("refreshed after a change to it");
        let place = match (entry.members.first_key_value(), entry.place) {
            (Some((head, true)), Some((since, _))) => Some((since, *head)),
            (Some((head, true)), None) => Some((now, *head)),
            (Some((_, false)) | None, _) => None,
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
        if entry.members.is_empty() {
            self.groups.remove(group);
        }
    }
}
