//! The reason for which a job was not put where it waits.

use drumline_store::{OpenError, StoreError};

/// The reason for which a job was not put where it waits.
#[derive(Debug, Clone)]
pub(crate) enum NotKept {
    /// The same job is refused again.
    Refused(String),
    /// It is not there.
    Unavailable(String),
    /// The answer is lost: it may be there.
    InDoubt(String),
}

impl From<OpenError> for NotKept {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unavailable(StoreError::Unanswered(_)) => Self::Unavailable(error.to_string()),
            _ => Self::Refused(error.to_string()),
        }
    }
}

impl From<StoreError> for NotKept {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(_) => Self::Refused(error.to_string()),
            StoreError::Unanswered(_) => Self::InDoubt(error.to_string()),
        }
    }
}
