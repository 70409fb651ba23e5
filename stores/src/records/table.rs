//! The part that an author implements.

use std::time::SystemTime;

use crate::store::StoreError;

/// A table of texts under keys.
pub trait Records: Send + Sync + 'static {
    /// Returns the texts under these keys, in their order: one for each, `None` if there is none. It makes no difference if some are of a moment before the others.
    fn read(&self, keys: &[String]) -> impl Future<Output = Result<Vec<Option<String>>, StoreError>> + Send;

    /// Makes all of the changes, or none if any key has another text than [`Change::before`]. Returns true if they were made.
    fn swap(&self, changes: &[Change]) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Returns true if the texts outlive this process.
    fn outlive_their_process(&self) -> bool {
        true
    }
}

/// A change of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key, of up to some kilobytes.
    pub key: String,
    /// The text that the key has to have; `None` if it has to have none.
    pub before: Option<String>,
    /// The text that it gets.
    pub after: String,
    /// From this time on, the text may be removed. One that is still there counts as absent.
    pub expires: SystemTime,
}
