//! The order of message groups on a FIFO queue.
//!
//! At any time at most one message of a group is in flight; the others wait behind it in the order of acceptance. Two entries
//! of a group in one batch would be faster, but SQS responds to each entry separately: if it accepts the second and not the
//! first, no retry can restore the order.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The groups with a message in flight, each with the messages that wait behind it.
#[derive(Debug)]
pub(crate) struct Groups<T> {
    waiting: HashMap<Arc<str>, VecDeque<T>>,
}

impl<T> Default for Groups<T> {
    fn default() -> Self {
        Self { waiting: HashMap::new() }
    }
}

impl<T> Groups<T> {
    /// Returns the message if its group is free, and marks the group as in flight; otherwise the message waits.
    pub(crate) fn enter(&mut self, group: &Arc<str>, message: T) -> Option<T> {
        if let Some(waiting) = self.waiting.get_mut(group) {
            waiting.push_back(message);
            return None;
        }
        self.waiting.insert(Arc::clone(group), VecDeque::new());
        Some(message)
    }

    /// Ends the message in flight. Returns the next one of its group, which takes its place.
    pub(crate) fn leave(&mut self, group: &Arc<str>) -> Option<T> {
        let next = self.waiting.get_mut(group)?.pop_front();
        if next.is_none() {
            self.waiting.remove(group);
        }
        next
    }

    /// Takes the messages that wait in this group. The message in flight stays.
    pub(crate) fn take_waiting(&mut self, group: &str) -> VecDeque<T> {
        self.waiting.get_mut(group).map(std::mem::take).unwrap_or_default()
    }

    /// Takes all waiting messages, group by group.
    pub(crate) fn take_all_waiting(&mut self) -> Vec<T> {
        self.waiting.values_mut().flat_map(std::mem::take).collect()
    }

    /// Changes all messages that wait.
    pub(crate) fn for_each(&mut self, change: impl FnMut(&mut T)) {
        self.waiting.values_mut().flatten().for_each(change);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_one_message_in_flight_and_ends_with_the_last() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut groups = Groups::default();
        assert_eq!(groups.enter(&a, 1), Some(1));
        assert_eq!(groups.enter(&a, 2), None);
        assert_eq!(groups.enter(&b, 3), Some(3));
        assert_eq!(groups.leave(&a), Some(2));
        assert_eq!(groups.enter(&a, 4), None, "2 is on its way now");
        assert_eq!((groups.leave(&a), groups.leave(&a)), (Some(4), None));
        assert_eq!(groups.leave(&b), None);
        assert!(groups.is_empty());
    }
}
