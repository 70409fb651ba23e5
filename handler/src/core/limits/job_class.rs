//! The class of a job: the jobs of one class wait for the same limits.

use std::sync::Arc;

/// The class of a job: the jobs of one class wait for the same limits, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct JobClass {
    /// The job type.
    pub job_type: Arc<str>,
    /// The value by which its rate is counted; `None` if the type has one rate for all of its jobs, or none.
    pub key: Option<Arc<str>>,
    /// The tenant, if the tenants of its queue are limited to a share of its slots.
    pub tenant: Option<Tenant>,
}

/// A message group of a standard queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant {
    /// The queue's name in this process.
    pub queue: Arc<str>,
    /// The message group.
    pub group: Arc<str>,
}

impl JobClass {
    /// The class of all jobs of a type.
    pub fn of_type(job_type: impl Into<Arc<str>>) -> Self {
        Self { job_type: job_type.into(), key: None, tenant: None }
    }
}
