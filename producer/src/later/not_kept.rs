//! The reason why a job was not put into its place.

use drumline_store::{OpenError, StoreError};

/// The reason why a job was not put into its place.
#[derive(Debug, Clone)]
pub(crate) enum NotKept {
    /// The same job would be refused again.
    Refused(String),
    /// The job is not there.
    Unavailable(String),
    /// The answer is lost: the job may be there.
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
