//! A bounded in-memory cache of the outcomes of messages that have left. The oldest are forgotten first.
//!
//! In two generations: when the newer one is full, the older one is forgotten as a whole. A list of single messages would have
//! to access, for each message that it learns, the one that it forgets, whose memory has not been used for long.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;

/// The number of messages in a generation. A standard queue may redeliver a deleted message, and one that failed permanently is
/// redelivered until the redrive policy takes it; both happen within seconds, which ten thousand messages cover.
const GENERATION: usize = 10_000;

/// The maximum bytes of IDs and reasons in a generation: ten thousand of SQS's ids with the longest reasons fit.
const GENERATION_BYTES: usize = 16 * 1024 * 1024;

/// The outcome of a message in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PriorOutcome {
    /// Its job is done, or its copy is in the DLQ: only its deletion is left.
    Done {
        /// The time since when.
        at: Instant,
    },
    /// No attempt can succeed, for this reason.
    FailedPermanently(String),
    /// It left without a final state: an attempt has ended some other way, or it was released without one.
    Returned,
}

/// The memory of a process of messages that have left it: which are done, and which have failed permanently for which reason.
/// It has at least the last 10,000, and at most 20,000. A ledger has its own; a host with a ledger for each batch keeps one
/// beside them.
///
/// ```
/// use drumline::core::{Ledger, PriorOutcome, Policy, OutcomeCache};
/// use std::time::{Duration, Instant};
///
/// let mut memory = OutcomeCache::default();
/// memory.learn("m1", PriorOutcome::Done { at: Instant::now() });
/// let policy = Policy { polling: None, ..Policy::new(Duration::from_secs(30)) };
/// let ledger = Ledger::recalling(policy, memory.about(["m1", "m2"]))?;
/// // … a batch of m1 and m2, which returns what to learn as effects …
/// # drop(ledger);
/// # Ok::<(), drumline::core::InvalidPolicy>(())
/// ```
#[derive(Debug, Default)]
pub struct OutcomeCache {
    recent: HashMap<Arc<str>, PriorOutcome, RandomState>,
    older: HashMap<Arc<str>, PriorOutcome, RandomState>,
    /// The bytes of the newer generation.
    bytes: usize,
}

impl OutcomeCache {
    /// Returns the cache of these messages only.
    pub fn about<'a>(&self, message_ids: impl IntoIterator<Item = &'a str>) -> Self {
        let mut about = Self::default();
        for id in message_ids {
            if let Some(prior) = self.of(id) {
                about.learn(id, prior.clone());
            }
        }
        about
    }

    pub(crate) fn of(&self, message_id: &str) -> Option<&PriorOutcome> {
        self.recent.get(message_id).or_else(|| self.older.get(message_id))
    }

    /// Remembers the latest state of a message, as a ledger requests with [`Effect::Remember`](crate::core::Effect::Remember).
    pub fn learn(&mut self, message_id: impl Into<Arc<str>>, prior: PriorOutcome) {
        let message_id = message_id.into();
        let bytes = message_id.len()
            + if let PriorOutcome::FailedPermanently(reason) = &prior { reason.len() } else { 0 };
        if self.recent.len() == GENERATION || self.bytes + bytes > GENERATION_BYTES {
            mem::swap(&mut self.recent, &mut self.older);
            // Its room stays for the next generation.
            self.recent.clear();
            self.bytes = 0;
        }
        // A repeated message counts twice, which only makes the generation shorter.
        self.bytes += bytes;
        self.recent.insert(message_id, prior);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "a test's own clock")]
    fn done() -> PriorOutcome {
        PriorOutcome::Done { at: Instant::now() }
    }

    #[test]
    fn only_what_is_asked_for_is_handed_on() {
        let mut memory = OutcomeCache::default();
        memory.learn("known", PriorOutcome::FailedPermanently("why".into()));
        memory.learn("other", done());
        let about = memory.about(["known", "new"]);
        assert_eq!(about.of("known"), Some(&PriorOutcome::FailedPermanently("why".into())));
        assert_eq!(about.of("new"), None);
        assert_eq!(about.of("other"), None);
    }

    #[test]
    fn the_oldest_are_forgotten_and_the_last_ones_never() {
        let mut outcome_cache = OutcomeCache::default();
        for n in 0..5 * GENERATION {
            outcome_cache.learn(n.to_string(), done());
            if let Some(last) = (n + 1).checked_sub(GENERATION) {
                assert!(
                    matches!(outcome_cache.of(&last.to_string()), Some(PriorOutcome::Done { .. })),
                    "{n}"
                );
            }
            if let Some(gone) = n.checked_sub(2 * GENERATION) {
                assert_eq!(outcome_cache.of(&gone.to_string()), None, "{n}");
            }
        }
    }

    #[test]
    fn long_ids_and_reasons_make_generations_shorter() {
        let mut outcome_cache = OutcomeCache::default();
        for n in 0..2_000 {
            let reason = PriorOutcome::FailedPermanently("r".repeat(20_000));
            outcome_cache.learn(format!("{n:0>20000}"), reason.clone());
            assert_eq!(outcome_cache.of(&format!("{n:0>20000}")), Some(&reason));
            let bytes = (outcome_cache.recent.len() + outcome_cache.older.len()) * 40_000;
            assert!(bytes <= 2 * GENERATION_BYTES, "{n}: {bytes}");
        }
    }

    #[test]
    fn what_was_learned_last_counts() {
        let mut outcome_cache = OutcomeCache::default();
        outcome_cache.learn("again", PriorOutcome::Returned);
        for n in 0..GENERATION {
            outcome_cache.learn(n.to_string(), done());
        }
        outcome_cache.learn("again", done());
        assert!(matches!(outcome_cache.of("again"), Some(PriorOutcome::Done { .. })));
    }
}
