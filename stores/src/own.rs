//! A store that a program provides in code.

use std::fmt;
use std::sync::Arc;

use crate::store::Store;

/// An open store of the program as a [`Location`](crate::Location), which has no URL.
#[derive(Clone)]
pub struct OwnStore(Arc<dyn Store>);

impl OwnStore {
    /// Returns the store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0
    }
}

impl From<Arc<dyn Store>> for OwnStore {
    fn from(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

/// Compares the identities of the stores, not their contents.
impl PartialEq for OwnStore {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for OwnStore {}

impl fmt::Display for OwnStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("own (given in code)")
    }
}
