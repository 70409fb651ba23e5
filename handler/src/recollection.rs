//! What is remembered of messages that have left: bounded, in memory, oldest forgotten first.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

/// How many messages are remembered. A standard queue may deliver a deleted message again, and a condemned one comes
/// back until the redrive policy takes it; both do so within seconds, which ten thousand messages cover.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).expect("not 0");

/// What became of a message here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Past {
    /// Its job is done, or its copy is in the DLQ: all that is left is to delete it.
    Done,
    /// No attempt can succeed, for this reason.
    Condemned(String),
    /// It left here alive: an attempt has ended some other way, or it was given back without one.
    Survived,
}

/// What a process remembers of messages that have left it: which are done, which have failed for good and why. At most
/// 10,000 of them. A ledger has its own; a host with a ledger for each batch keeps one beside them.
///
/// ```
/// use drumline::{Ledger, Past, Policy, Recollection};
/// use std::time::Duration;
///
/// let mut memory = Recollection::default();
/// memory.learn("m1", Past::Done);
/// let policy = Policy { polling: None, ..Policy::new(Duration::from_secs(30)) };
/// let ledger = Ledger::recalling(policy, memory.about(["m1", "m2"]))?;
/// // … a batch of m1 and m2, which tells in its notes what is to be learned …
/// # drop(ledger);
/// # Ok::<(), drumline::InvalidPolicy>(())
/// ```
#[derive(Debug)]
pub struct Recollection(LruCache<Arc<str>, Past>);

impl Default for Recollection {
    fn default() -> Self {
        Self::new()
    }
}

impl Recollection {
    /// What is known of these messages.
    pub fn about<'a>(&mut self, message_ids: impl IntoIterator<Item = &'a str>) -> Self {
        let mut about = Self::new();
        for id in message_ids {
            if let Some(past) = self.of(id) {
                about.learn(id, past.clone());
            }
        }
        about
    }

    pub(crate) fn new() -> Self {
        // Not reserved ahead: a Lambda function remembers a handful.
        let mut cache = LruCache::unbounded();
        cache.resize(CAPACITY);
        Self(cache)
    }

    pub(crate) fn of(&mut self, message_id: &str) -> Option<&Past> {
        self.0.get(message_id)
    }

    /// Learns what has become of a message, as a ledger tells it with [`Note::Learned`](crate::Note::Learned).
    pub fn learn(&mut self, message_id: impl Into<Arc<str>>, past: Past) {
        self.0.put(message_id.into(), past);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_handed_on() {
        let mut memory = Recollection::new();
        memory.learn("known", Past::Condemned("why".into()));
        memory.learn("other", Past::Done);
        let mut about = memory.about(["known", "new"]);
        assert_eq!(about.of("known"), Some(&Past::Condemned("why".into())));
        assert_eq!(about.of("new"), None);
        assert_eq!(about.of("other"), None);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut recollection = Recollection::new();
        for n in 0..=CAPACITY.get() {
            recollection.learn(n.to_string(), Past::Done);
        }
        assert_eq!(recollection.of("0"), None);
        assert_eq!(recollection.of("1"), Some(&Past::Done));
    }
}
