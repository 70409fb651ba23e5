//! The types that teams write against: jobs, their handlers, and what a handler is given.

pub(crate) mod context;
pub(crate) mod failure;
pub(crate) mod job;
pub(crate) mod router;
pub(crate) mod step;
