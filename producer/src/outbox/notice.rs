//! Events of a backlog, for the log and the observer.

use std::time::Duration;

use super::observer::{FailureClass, ParkedClass};

/// An event of a backlog. `queue` is the name of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// SQS has confirmed jobs.
    Sent { queue: String, jobs: u64 },
    /// Jobs were put back.
    PutBack { queue: Option<String>, class: FailureClass, jobs: u64 },
    /// A job was parked.
    Parked { queue: Option<String>, class: ParkedClass, job_id: String, job_type: String, reason: String },
    /// A queue no longer accepts jobs, and will be tried again later.
    QueueFails { queue: String, class: FailureClass, reason: String, pause: Duration },
    /// SQS has refused single jobs of a queue, for the first time since it last accepted all of a request.
    EntriesFail { queue: String, class: FailureClass, reason: String },
    /// A queue accepts jobs again.
    QueueRecovers { queue: String },
}
