//! The progress of a job.

use std::borrow::Cow;

/// How far a handler is, in units of its own work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// What is counted, such as `images` or `records`.
    pub unit: Cow<'static, str>,
}
