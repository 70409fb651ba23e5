//! The reason why a text is not a limit.

use std::fmt;

/// The reason why a text is not a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidLimit(pub(super) String);

impl fmt::Display for InvalidLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidLimit {}
