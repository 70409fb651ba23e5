//! A job that is checked and ready to be sent.

use std::fmt;

use crate::later::Wait;
use crate::pack::Outgoing;
use crate::target_queue::TargetQueue;

/// A job that is checked and ready to be sent: [`Producer::send_prepared`](crate::Producer::send_prepared) sends it. Sent twice, it is
/// the same job, with the same id. Only [`SendJob::prepare`](crate::SendJob::prepare) makes one, so each has passed all checks.
#[derive(Clone, PartialEq, Eq)]
pub struct Prepared {
    pub(crate) queue: TargetQueue,
    pub(crate) outgoing: Outgoing,
    /// Where it waits; `None` for a job that goes to its queue at once.
    pub(crate) wait: Option<Wait>,
}

impl Prepared {
    /// Returns its queue.
    pub fn queue(&self) -> &TargetQueue {
        &self.queue
    }

    /// Returns its message. That of a job that waits in an outbox is made by the relay that sends it, with another time of creation.
    pub fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// Returns the job's id.
    pub fn job_id(&self) -> &str {
        self.outgoing.job_id.as_deref().unwrap_or_default()
    }
}

/// Without the body, which belongs in no log.
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
