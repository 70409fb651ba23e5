#![doc = include_str!("../README.md")]

mod access;
mod job_status;
mod routes;
mod stream;
mod watches;

pub use access::{Access, Asked};
pub use job_status::{JobStatus, StatusAttempt};
pub use routes::router;
