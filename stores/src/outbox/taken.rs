//! Jobs that a relay has taken.

use std::time::Duration;

use super::job::OutboxJob;

/// A job that a relay has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TakenJob {
    /// The job.
    pub job: OutboxJob,
    /// The lease under which the relay holds it.
    pub lease: Lease,
    /// The number of times it was put back after a failure to send it.
    pub failures: u32,
    /// The time at which it was added, in milliseconds since the Unix epoch, if the outbox knows it.
    pub added_ms: Option<i64>,
}

impl TakenJob {
    /// Creates a job taken under this lease.
    pub fn new(job: OutboxJob, lease: Lease, failures: u32) -> Self {
        Self { job, lease, failures, added_ms: None }
    }
}

/// A lease, for a relay or for the leader of a timetable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The name of the lease.
    pub name: String,
    /// The fencing token, which grows with every new owner: writes under an older token are refused.
    pub fencing_token: i64,
    /// The remaining time, from the outbox's response.
    pub left: Duration,
}

impl Lease {
    /// Creates a lease.
    pub fn new(name: impl Into<String>, fencing_token: i64, left: Duration) -> Self {
        Self { name: name.into(), fencing_token, left }
    }
}
