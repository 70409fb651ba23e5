//! The requests for task protection.

use std::fmt;

/// The number of minutes for which one request protects a task, and for which a hanging task can delay a scale-in. ECS allows 1
/// to 2,880.
pub(super) const EXPIRES_IN_MINUTES: u64 = 20;

/// The client of a service that protects the task.
pub(super) trait Protector {
    /// Requests protection, or its end.
    async fn protect(&self, protected: bool) -> Result<(), ProtectError>;
}

/// The reason why a request for protection failed.
#[derive(Debug)]
pub(super) enum ProtectError {
    /// ECS refused the request.
    Refused(String),
    /// ECS may have carried out the request: the answer is missing or unclear.
    Unanswered(String),
}

impl fmt::Display for ProtectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) | Self::Unanswered(reason) => f.write_str(reason),
        }
    }
}
