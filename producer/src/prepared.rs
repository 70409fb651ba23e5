//! A job that is checked and ready to be sent.

use std::fmt;

use crate::later::Wait;
use crate::pack::Outgoing;
use crate::target_queue::TargetQueue;

/// A job that is checked and ready to be sent with [`Producer::send_prepared`](crate::Producer::send_prepared). If it is sent
/// twice, it is the same job with the same id. Only [`SendJob::prepare`](crate::SendJob::prepare) creates this value, so it has
/// passed all checks.
#[derive(Clone, PartialEq, Eq)]
pub struct Prepared {
    pub(crate) queue: TargetQueue,
    pub(crate) outgoing: Outgoing,
    /// The place where it waits; `None` for a job that goes to its queue immediately.
    pub(crate) wait: Option<Wait>,
}

impl Prepared {
    /// Returns its queue.
    pub fn queue(&self) -> &TargetQueue {
        &self.queue
    }

    /// Returns its message. For a job that waits in an outbox, the relay creates the message when it sends the job, with
    /// another creation time.
    pub fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// Returns the job's id.
    pub fn job_id(&self) -> &str {
        self.outgoing.job_id.as_deref().unwrap_or_default()
    }
}

/// Omits the body, which must not be logged.
impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("queue", &self.queue)
            .field("job_type", &self.outgoing.job_type)
            .field("job_id", &self.outgoing.job_id)
            .field("bytes", &self.outgoing.bytes())
            .field("waits", &self.wait.is_some())
            .finish_non_exhaustive()
    }
}
