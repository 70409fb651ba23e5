//! The confirmation that a job is in its queue.

/// A job that is in its queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The job's id, by which `drumline jobs` and `drumline dlq` find it.
    pub job_id: String,
    /// The id that SQS gave to the message.
    pub message_id: String,
    /// The name of the queue.
    pub queue: String,
    /// The message's place in a FIFO queue: it grows within a message group.
    pub sequence_number: Option<String>,
}
