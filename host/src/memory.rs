//! The outcomes that the ledgers of one process share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drumline::core::{Past, Recollection};

/// A cache of outcomes shared by the ledgers of a process that outlives them, such as those of a function's batches. Cheap
/// to clone.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<Recollection>>);

impl Memory {
    /// Returns what is known of these messages, for a new ledger.
    pub fn about<'a>(&self, message_ids: impl IntoIterator<Item = &'a str>) -> Recollection {
        self.recollection().about(message_ids)
    }

    /// Remembers the latest state of a message.
    pub(crate) fn learn(&self, message_id: Arc<str>, past: Past) {
        self.recollection().learn(message_id, past);
    }

    fn recollection(&self) -> MutexGuard<'_, Recollection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
