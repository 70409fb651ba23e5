//! The outcome that follows from an ending.

use std::time::Duration;

/// The outcome of a delivery. Decided once, in [`decide`](crate::core::decide()), for every host.
///
/// A host must settle each, so it matches them without a wildcard, and a new one is meant to break its build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The job is done: the message is deleted.
    Ack,
    /// The message comes back after this long.
    RetryAfter(Duration),
    /// No attempt can succeed, for this reason: the message belongs into the DLQ.
    DeadLetter(String),
    /// The message is given back untouched and comes back at once.
    Requeue,
    /// The message may be somebody else's: nothing is said to SQS any more.
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
