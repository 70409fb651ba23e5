//! The versions of a source.

use serde::{Deserialize, Serialize};

/// What tells a source from what it was before or will be later: an object's `ETag`; a file's length and modification
/// time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version(pub(super) String);
