//! Keys that one job holds at a time.

use std::time::Duration;

/// A key that one job of an outbox holds at a time, and what happens to a second one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unique {
    /// The key. Different types should have different ones: `invoice:42`.
    pub key: String,
    /// The longest time for which a job holds the key, from when it was added.
    pub window: Duration,
    /// What happens to a job whose key another one holds.
    pub on_conflict: OnConflict,
    /// The id of a job that holds the key and is known to be done: the key is taken from it, if it is still this one's.
    pub take_from: Option<String>,
}

/// What happens to a job whose key another one holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// The second one is not added.
    Keep,
    /// The first one gets the second one's payload, options and due time, under its own id, as long as it waits; one that was sent or
    /// taken by a relay stays as it is, and the second one is not added.
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
