//! A store that a program gives in code.

use std::fmt;
use std::sync::Arc;

use crate::store::Store;

/// A store that is open already, as a [`Location`](crate::Location): a program's own, which no URL names.
#[derive(Clone)]
pub struct OwnStore(Arc<dyn Store>);

impl OwnStore {
    /// The store itself.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0
    }
}

impl From<Arc<dyn Store>> for OwnStore {
    fn from(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

/// Compares the stores themselves, not what they keep.
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
