//! The types that teams write against: jobs, their handlers, and the host as a handler sees it.

pub(crate) mod arrivals;
pub(crate) mod attempt_info;
pub(crate) mod batch;
pub(crate) mod batch_context;
pub(crate) mod context;
pub(crate) mod dead_job;
pub(crate) mod decoded;
pub(crate) mod event;
pub(crate) mod failure;
pub(crate) mod handler;
pub(crate) mod job;
pub(crate) mod job_type;
pub(crate) mod next;
pub(crate) mod observer;
pub(crate) mod progress;
pub(crate) mod router;
pub(crate) mod run_environment;
pub(crate) mod step;
