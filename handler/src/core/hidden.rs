//! The messages that wait hidden in the queue for their next attempt, with the receipts that can make them visible.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;

use crate::message::identity::Identity;

/// The maximum number of remembered messages, about 1 KiB each: the most recently hidden ones.
const MAX_HIDDEN: usize = 1_000;

/// A message that this process has hidden until its next attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiddenMessage {
    /// Its id.
    pub message_id: Arc<str>,
    /// Its last receipt handle.
    pub receipt: String,
    /// The identity of its job, if a run has computed it.
    pub identity: Option<Arc<Identity>>,
    /// The time until which it is hidden.
    pub until: Instant,
}

/// The messages that were hidden most recently, and may still be hidden.
#[derive(Debug, Default)]
pub(crate) struct HiddenMessages {
    by_age: BTreeMap<u64, HiddenMessage>,
    ages: HashMap<Arc<str>, u64, RandomState>,
    last_age: u64,
}

impl HiddenMessages {
    /// Adds a message. The oldest one is forgotten if there are too many.
    pub(crate) fn add(&mut self, message: HiddenMessage) {
        self.remove(&message.message_id);
        self.last_age += 1;
        self.ages.insert(Arc::clone(&message.message_id), self.last_age);
        self.by_age.insert(self.last_age, message);
        if self.by_age.len() > MAX_HIDDEN
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.ages.remove(&oldest.message_id);
        }
    }

    /// Removes a message that is no longer hidden.
    pub(crate) fn remove(&mut self, message_id: &str) {
        if !self.ages.is_empty()
            && let Some(age) = self.ages.remove(message_id)
        {
            self.by_age.remove(&age);
        }
    }

    /// Returns a message that is hidden now.
    pub(crate) fn get(&self, now: Instant, message_id: &str) -> Option<&HiddenMessage> {
        self.by_age.get(self.ages.get(message_id)?).filter(|message| message.until > now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn the_last_ones_are_known_until_they_are_visible() {
        let (now, mut hidden) = (Instant::now(), HiddenMessages::default());
        let message = |id: usize, receipt: &str| HiddenMessage {
            message_id: id.to_string().into(),
            receipt: receipt.to_owned(),
            identity: None,
            until: now + Duration::from_secs(60),
        };
        for id in 0..=MAX_HIDDEN {
            hidden.add(message(id, "r"));
        }
        assert_eq!(hidden.get(now, "0"), None, "the oldest one is forgotten");
        hidden.add(message(1, "r2"));
        hidden.add(message(MAX_HIDDEN + 1, "r"));
        let found = hidden.get(now, "1").map(|message| &*message.receipt);
        assert_eq!(found, Some("r2"), "it was hidden again, and counts as new");
        assert_eq!(hidden.get(now, "2"), None);
        assert_eq!(hidden.get(now + Duration::from_secs(60), "1"), None, "its time is over");
        hidden.remove("1");
        assert_eq!((hidden.get(now, "1"), hidden.by_age.len(), hidden.ages.len()), (None, 999, 999));
    }
}
