//! What happened in a backlog, for the log and for the observer.

use std::time::Duration;

use super::observer::{FailureClass, ParkedClass};

/// An event in a backlog. A `queue` is the name of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// SQS has confirmed jobs.
    Sent { queue: String, jobs: u64 },
    /// Jobs were put back.
    PutBack { queue: Option<String>, class: FailureClass, jobs: u64 },
    /// A job was parked.
    Parked { queue: Option<String>, class: ParkedClass, job_id: String, job_type: String, reason: String },
    /// A queue takes no jobs any more, and is tried again after some time.
    QueueFails { queue: String, class: FailureClass, reason: String, pause: Duration },
    /// SQS has not taken single jobs of a queue, the first time since it last took all of a request.
    EntriesFail { queue: String, class: FailureClass, reason: String },
    /// A queue takes jobs again.
    QueueRecovers { queue: String },
}
