//! The order within a message group: if a letter of a FIFO queue stays in the DLQ, the letters behind it in its group stay,
//! too.

use std::collections::HashMap;
use std::sync::Arc;

use drumline::message::Message;

/// The letters that stay, by group.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The sequence number of the first staying letter of each group, by the URL of the queue to which its letters are sent, if
    /// that is known.
    staying: HashMap<Option<Arc<str>>, HashMap<Arc<str>, u128>>,
}

impl Order {
    /// Records that a letter for the queue with this URL stays.
    pub(super) fn stay(&mut self, url: Option<&Arc<str>>, message: &Message) {
        // Without a sequence number, all letters of the group count as behind it.
        self.insert(url, message.group.as_deref(), sequence_number(message).unwrap_or_default());
    }

    /// Records that all further letters of a group stay because SQS did not accept one of them.
    pub(super) fn stay_all(&mut self, url: &Arc<str>, group: &str) {
        self.insert(Some(url), Some(group), 0);
    }

    fn insert(&mut self, url: Option<&Arc<str>>, group: Option<&str>, number: u128) {
        if let Some(group) = group {
            let groups = self.staying.entry(url.cloned()).or_default();
            let first = groups.entry(Arc::from(group)).or_insert(number);
            *first = number.min(*first);
        }
    }

    /// Returns true if a letter for the queue with this URL is behind a staying letter of its group.
    pub(super) fn is_behind(&self, url: &Arc<str>, message: &Message) -> bool {
        let Some(group) = message.group.as_deref().filter(|_| !self.staying.is_empty()) else { return false };
        let number = sequence_number(message).unwrap_or(u128::MAX);
        let first = |url: Option<Arc<str>>| self.staying.get(&url)?.get(group);
        let is_behind = |url| first(url).is_some_and(|first| number > *first);
        // A letter whose queue is not known may belong to any queue.
        is_behind(Some(Arc::clone(url))) || is_behind(None)
    }
}

fn sequence_number(message: &Message) -> Option<u128> {
    message.sequence_number.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(group: &str, number: u32) -> Message {
        let sequence_number = (number > 0).then(|| format!("1884929{number:013}"));
        Message { group: Some(group.into()), sequence_number, ..Message::default() }
    }

    #[test]
    fn later_letters_of_a_group_are_behind_one_that_stays() {
        let (jobs, mails): (Arc<str>, Arc<str>) = ("jobs".into(), "mails".into());
        let mut order = Order::default();
        assert!(!order.is_behind(&jobs, &letter("a", 9)));
        order.stay(Some(&jobs), &letter("a", 5));
        order.stay(Some(&jobs), &letter("a", 7));
        assert!(order.is_behind(&jobs, &letter("a", 6)) && order.is_behind(&jobs, &letter("a", 10)));
        assert!(!order.is_behind(&jobs, &letter("a", 4)), "it is received again, and is before them");
        assert!(!order.is_behind(&jobs, &letter("b", 6)) && !order.is_behind(&mails, &letter("a", 6)));
        assert!(!order.is_behind(&jobs, &Message::default()));
        order.stay_all(&mails, "m");
        assert!(order.is_behind(&mails, &letter("m", 1)));
    }

    #[test]
    fn without_numbers_or_queue_the_whole_group_is_behind() {
        let jobs: Arc<str> = "jobs".into();
        let mut order = Order::default();
        order.stay(None, &letter("a", 5));
        assert!(order.is_behind(&jobs, &letter("a", 0)) && order.is_behind(&jobs, &letter("a", 6)));
        order.stay(Some(&jobs), &letter("b", 0));
        assert!(order.is_behind(&jobs, &letter("b", 1)));
    }
}
