//! The outcomes that the ledgers of one process share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drumline::core::{OutcomeCache, PriorOutcome};

/// A cache of outcomes shared by the ledgers of a process that outlives them, such as those of a function's batches. Cheap
/// to clone.
#[derive(Debug, Clone, Default)]
pub struct SharedOutcomeCache(Arc<Mutex<OutcomeCache>>);

impl SharedOutcomeCache {
    /// Returns the known facts about these messages, for a new ledger.
    pub fn about<'a>(&self, message_ids: impl IntoIterator<Item = &'a str>) -> OutcomeCache {
        self.outcome_cache().about(message_ids)
    }

    /// Remembers the latest state of a message.
    pub(crate) fn learn(&self, message_id: Arc<str>, prior: PriorOutcome) {
        self.outcome_cache().learn(message_id, prior);
    }

    fn outcome_cache(&self) -> MutexGuard<'_, OutcomeCache> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
