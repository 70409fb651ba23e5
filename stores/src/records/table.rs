//! The part that an author of a store implements.

use std::time::SystemTime;

use crate::store::StoreError;

/// A table of texts under keys.
pub trait Records: Send + Sync + 'static {
    /// Returns the texts under these keys in their order: one for each, `None` if there is none. The texts need not be read at
    /// the same moment.
    fn read(&self, keys: &[String]) -> impl Future<Output = Result<Vec<Option<String>>, StoreError>> + Send;

    /// Makes all changes, or none if any key has another text than [`Change::before`]. Returns true if they were made.
    fn swap(&self, changes: &[Change]) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Returns true if the texts outlive this process.
    fn outlive_their_process(&self) -> bool {
        true
    }
}

/// A change of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key, of up to a few kilobytes.
    pub key: String,
    /// The text that the key must have; `None` if there must be none.
    pub before: Option<String>,
    /// The new text.
    pub after: String,
    /// The time from which the text may be removed. A text that still exists then counts as absent.
    pub expires: SystemTime,
}
