//! The versions of a source.

use serde::{Deserialize, Serialize};

/// The property that distinguishes versions of a source: an object's `ETag`; a file's length and modification time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version(pub(super) String);
