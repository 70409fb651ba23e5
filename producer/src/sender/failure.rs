//! The reason why a sender does not accept a job.

use std::fmt;

use crate::error::ProduceError;
use crate::prepared::Prepared;

/// The reason why a job was not accepted, with the job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError {
    /// The sender's limit of messages or bytes is reached.
    Full(Box<Prepared>),
    /// Waiting would not help: the sender is shut down, or no queue would accept the message.
    Failed(Box<Prepared>, ProduceError),
}

impl TrySendError {
    /// Returns the job.
    pub fn into_prepared(self) -> Prepared {
        match self {
            Self::Full(job) | Self::Failed(job, _) => *job,
        }
    }
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => {
                f.write_str("the sender holds as many messages or bytes as it may: try again later")
            }
            Self::Failed(_, error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TrySendError {}
