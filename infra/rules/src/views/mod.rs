//! Queues, roles, functions, tasks and metrics in the form that rules need.

pub(crate) mod consumers;
pub(crate) mod dashboards;
pub(crate) mod functions;
pub(crate) mod intake;
pub(crate) mod known_metrics;
pub(crate) mod metrics;
pub(crate) mod payload_buckets;
pub(crate) mod policies;
pub(crate) mod queues;
pub(crate) mod scaling;
pub(crate) mod tasks;
