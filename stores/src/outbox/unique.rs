//! Keys that one job holds at a time.

use std::time::Duration;

/// A key that one job of an outbox holds at a time, and the rule for a second one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unique {
    /// The key. Different types should have different ones: `invoice:42`.
    pub key: String,
    /// The longest time for which a job holds the key, from when it was added.
    pub window: Duration,
    /// The rule for a job whose key another one holds.
    pub on_conflict: OnConflict,
    /// The id of a job that holds the key and is known to be done: the key is taken from it, if it is still this one's.
    pub take_from: Option<String>,
}

/// The rule for a job whose key another one holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// The second one is not added.
    Keep,
    /// The first one gets the second one's payload, options and due time, under its own id, as long as no relay has taken it. One that a
    /// relay has ever had stays as it is, also if it was put back or its lease has ended, since it may have been sent: the second one is
    /// not added.
    Replace,
    /// As `Replace`, and the first one waits as long again, up to this time after it was added.
    Debounce {
        /// The longest wait in all.
        at_most: Duration,
    },
}

impl Unique {
    /// A key that is held for `window` at most.
    pub fn new(key: impl Into<String>, window: Duration, on_conflict: OnConflict) -> Self {
        Self { key: key.into(), window, on_conflict, take_from: None }
    }
}
