//! The progress of a job.

use std::borrow::Cow;

/// The progress of a handler, in units of its own work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// The unit that is counted, such as `images` or `records`.
    pub unit: Cow<'static, str>,
}
