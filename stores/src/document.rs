//! Small texts that processes share through a store, such as the record of a replay: few of each kind, changed by
//! compare-and-swap.

use std::time::Duration;

/// The largest number of documents of a kind. People read them as a list, and some stores read all of them at once.
pub const MAX_DOCUMENTS: usize = 200;

/// The largest size of a document in bytes: two hundred of them are 3 MiB.
pub const MAX_DOCUMENT_BYTES: usize = 16 * 1024;

/// The largest size of a document's name in bytes: an ARN fits.
pub const MAX_DOCUMENT_NAME_BYTES: usize = 256;

/// The longest time for which a document is kept.
pub const MAX_DOCUMENT_KEEP: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A text under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its name within its kind.
    pub name: String,
    /// The text.
    pub text: String,
}
