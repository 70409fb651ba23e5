//! The queues of a producer, by job type.

use std::collections::BTreeMap;

use aws_sdk_sqs::Client;

use crate::check::Checks;
use crate::error::Refusal;
use crate::send::InDoubt;
use crate::target_queue::TargetQueue;

/// The queues of a producer.
#[derive(Debug, Clone)]
pub(crate) struct Routes {
    /// The client for queues that are added.
    pub(crate) client: Client,
    pub(crate) others: Others,
    pub(crate) by_type: BTreeMap<String, TargetQueue>,
    pub(crate) in_doubt: InDoubt,
    pub(crate) checks: Checks,
}

/// The queue of the job types that have none of their own.
#[derive(Debug, Clone)]
pub(crate) enum Others {
    Nowhere,
    To(TargetQueue),
    /// The names of queues of which none is the default.
    Undecided(Vec<String>),
}

impl Routes {
    pub(crate) fn new(client: Client, others: Others) -> Self {
        Self {
            client,
            others,
            by_type: BTreeMap::new(),
            in_doubt: InDoubt::default(),
            checks: Checks::default(),
        }
    }

    /// Returns the queue of a job type.
    pub(crate) fn queue_of(&self, job_type: &str) -> Result<TargetQueue, Refusal> {
        let refused = |reason: String| Refusal::new(job_type, "queue", reason);
        let queue = match (self.by_type.get(job_type), &self.others) {
            (Some(queue), _) | (None, Others::To(queue)) => queue,
            (None, Others::Nowhere) => {
                return Err(refused(format!(
                    "none is set for this type: set DRUMLINE_QUEUE_URL, or \"{job_type}\" = \"URL\" under [queue_by_type] in the file \
                     of settings (in code: Producer::queue_for)"
                )));
            }
            (None, Others::Undecided(names)) => {
                return Err(refused(format!(
                    "DRUMLINE_QUEUE_URL names several ({}), and none is set for this type: set \"{job_type}\" = \"URL\" under \
                     [queue_by_type] in the file of settings (in code: Producer::queue_for)",
                    names.join(", ")
                )));
            }
        };
        Ok(queue.clone().with(self.in_doubt))
    }
}
