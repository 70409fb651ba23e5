//! The protection that is asked for.

use std::fmt;

/// The minutes for which one request protects a task. A task that hangs can delay a scale-in for so long. ECS takes 1 to
/// 2,880.
pub(super) const EXPIRES_IN_MINUTES: u64 = 20;

/// The client of a service that protects the task.
pub(super) trait Protector {
    /// Asks for protection, or for none.
    async fn protect(&self, protected: bool) -> Result<(), ProtectError>;
}

/// The reason why a request for protection failed.
#[derive(Debug)]
pub(super) enum ProtectError {
    /// ECS did not carry it out.
    Refused(String),
    /// ECS may have carried it out: the answer is missing, or says that the agent does not know.
    Unanswered(String),
}

impl fmt::Display for ProtectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) | Self::Unanswered(reason) => f.write_str(reason),
        }
    }
}
