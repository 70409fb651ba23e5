//! Unique keys, which one job holds at a time.

use std::time::Duration;

/// A key that one job of an outbox holds at a time, and the rule for a second job with the key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unique {
    /// The key. It should contain the type: `invoice:42`.
    pub key: String,
    /// The longest time for which a job holds the key, counted from when it was added.
    pub window: Duration,
    /// The rule for a job whose key another job holds.
    pub on_conflict: OnConflict,
    /// The id of a job that is known to be done: if it still holds the key, the key is taken from it.
    pub take_from: Option<String>,
}

/// The rule for a job whose key another job holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// The second job is not added.
    Keep,
    /// The first job gets the second one's payload, options and due time under its own id, if no relay has ever taken it. A job
    /// that a relay has taken is not changed, even if it was put back or its lease has ended, because it may have been sent:
    /// the second job is not added.
    Replace,
    /// Like `Replace`, and the first job's wait begins anew, up to this time after it was added.
    Debounce {
        /// The longest total wait.
        at_most: Duration,
    },
}

impl Unique {
    /// Creates a key that is held for `window` at most.
    pub fn new(key: impl Into<String>, window: Duration, on_conflict: OnConflict) -> Self {
        Self { key: key.into(), window, on_conflict, take_from: None }
    }
}
