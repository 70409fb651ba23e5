//! The report of a finished run.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::core::claim::JobResult;
use crate::core::ending::Ending;
use crate::core::limits::{JobClass, LimitWait, Permit};
use crate::core::next_job::NextJobs;
use crate::message::identity::Identity;

/// The report of a finished run to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// Its ending.
    pub ending: Ending,
    /// The job's type, if it is known and has a handler: policies and metrics use it.
    pub job_type: Option<Arc<str>>,
    /// The job's identity, as far as it is known: histories use it as their key.
    pub identity: Option<Arc<Identity>>,
    /// The correlation id that its producer gave it.
    pub correlation_id: Option<Arc<str>>,
    /// The number of the attempt, if the claim returned it; otherwise receives are counted.
    pub attempt: Option<NonZeroU32>,
    /// The lock that another job holds, if the run ended as [`Busy`](Ending::Busy) for it.
    pub lock: Option<Arc<str>>,
    /// The class of the job and its wait, if the run ended as [`Limited`](Ending::Limited).
    pub limited: Option<Box<(JobClass, LimitWait)>>,
    /// The permit with which it started, if its job is limited.
    pub permit: Option<Permit>,
    /// The result of the handler, which is stored with the mark that its job is done.
    pub result: Option<JobResult>,
    /// The next jobs, which are added with the mark: without it, the job is not done.
    pub next: Option<NextJobs>,
}

impl RunReport {
    /// Makes the report of a run without a result.
    pub fn new(ending: Ending, job_type: Option<Arc<str>>) -> Self {
        Self {
            ending,
            job_type,
            identity: None,
            correlation_id: None,
            attempt: None,
            lock: None,
            limited: None,
            permit: None,
            result: None,
            next: None,
        }
    }
}
