//! What is remembered of messages that have left: bounded, in memory, oldest forgotten first.

use std::num::NonZeroUsize;

use lru::LruCache;

/// How many messages are remembered. A standard queue may deliver a deleted message again, and a condemned one comes
/// back until the redrive policy takes it; both do so within seconds, which ten thousand messages cover.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).expect("not 0");

/// What became of a message here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Past {
    /// Its job is done, or its copy is in the DLQ: all that is left is to delete it.
    Done,
    /// No attempt can succeed, for this reason.
    Condemned(String),
    /// It left here alive: an attempt has ended some other way, or it was given back without one.
    Survived,
}

#[derive(Debug)]
pub(crate) struct Recollection(LruCache<String, Past>);

impl Recollection {
    pub(crate) fn new() -> Self {
        // Not reserved ahead: a Lambda function remembers a handful.
        let mut cache = LruCache::unbounded();
        cache.resize(CAPACITY);
        Self(cache)
    }

    pub(crate) fn of(&mut self, message_id: &str) -> Option<&Past> {
        self.0.get(message_id)
    }

    pub(crate) fn remember(&mut self, message_id: &str, past: Past) {
        self.0.put(message_id.to_owned(), past);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut recollection = Recollection::new();
        for n in 0..=CAPACITY.get() {
            recollection.remember(&n.to_string(), Past::Done);
        }
        assert_eq!(recollection.of("0"), None);
        assert_eq!(recollection.of("1"), Some(&Past::Done));
    }
}
