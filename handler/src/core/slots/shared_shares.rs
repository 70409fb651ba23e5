//! The shares of a pool, as its queues share them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::shares::Shares;

/// A handle of the shares of a pool.
#[derive(Clone)]
pub(super) struct SharedShares(Arc<Mutex<Shares>>);

impl SharedShares {
    pub(super) fn new(shares: Shares) -> Self {
        Self(Arc::new(Mutex::new(shares)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SharedShares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedShares").field("slots", &self.lock().size()).finish_non_exhaustive()
    }
}
