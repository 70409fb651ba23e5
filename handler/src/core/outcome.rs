//! The outcome that follows from an ending.

use std::time::Duration;

/// The outcome of a delivery. Decided once, in [`decide`](crate::core::decide()), for every host.
///
/// A host must settle each, so it matches them without a wildcard, and a new variant deliberately breaks its build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The job is done: the message is deleted.
    Ack,
    /// The message is redelivered after this time.
    RetryAfter(Duration),
    /// No attempt can succeed, for this reason: the message belongs in the DLQ.
    DeadLetter(String),
    /// The message is released without a change, and redelivered at once.
    Requeue,
    /// Another worker may have the message: no further call to SQS is made for it.
    LeaseLost,
}

impl Outcome {
    /// The `outcome` label of `drumline_jobs_total`.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::RetryAfter(_) => "retry",
            Self::DeadLetter(_) => "dead_letter",
            Self::Requeue => "release",
            Self::LeaseLost => "lease_lost",
        }
    }
}
