//! Jobs that a relay has taken.

use std::time::Duration;

use super::job::OutboxJob;

/// A job that a relay has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TakenJob {
    /// The job.
    pub job: OutboxJob,
    /// The lease under which the relay has it.
    pub lease: Lease,
    /// The number of times that it was put back after a failure to send it.
    pub failures: u32,
    /// The time at which it was added, in milliseconds since the Unix epoch, if the outbox knows it.
    pub added_ms: Option<i64>,
}

impl TakenJob {
    /// A job that is taken under this lease.
    pub fn new(job: OutboxJob, lease: Lease, failures: u32) -> Self {
        Self { job, lease, failures, added_ms: None }
    }
}

/// A lease, for a relay or for the leader of a timetable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The name of the leased thing.
    pub name: String,
    /// It grows with every new owner: writes under an older one are refused.
    pub fencing_token: i64,
    /// The time for which it lasts, from the answer of the outbox.
    pub left: Duration,
}

impl Lease {
    /// A lease of something.
    pub fn new(name: impl Into<String>, fencing_token: i64, left: Duration) -> Self {
        Self { name: name.into(), fencing_token, left }
    }
}
