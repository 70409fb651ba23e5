//! The confirmation that a job is in its queue, or waits to be sent to it.

use std::time::SystemTime;

/// A job that is in its queue, or waits to be sent to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The job's id, with which `drumline jobs` and `drumline dlq` find it, and `drumline outbox` while it waits. If another
    /// job holds the key of a [unique job](crate::SendJob::unique), that job's id.
    pub job_id: String,
    /// The id that SQS gave to the message; `None` for a waiting job, which has no message yet.
    pub message_id: Option<String>,
    /// The name of the queue.
    pub queue: String,
    /// The message's sequence number in a FIFO queue: it grows within a message group.
    pub sequence_number: Option<String>,
    /// The time at which the job is sent, if it waits for one. For a delay, according to this machine's clock.
    pub due: Option<SystemTime>,
    /// The existing job, if this one is a unique job that was not added. Its id is `job_id`.
    pub existing: Option<Existing>,
}

/// A job that holds the key of a unique job, which was therefore not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Existing {
    /// It waits or is being sent, unchanged.
    Waiting,
    /// It was sent.
    Sent,
    /// It waits, with the payload and the options of the job that was not added.
    Replaced,
}
