//! The lock of a DLQ, which refuses the second of two actions that send or delete its letters.

use serde::{Deserialize, Serialize};

use super::kind::ActionKind;

/// The holder of a DLQ's lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionLock {
    /// The name of the action.
    pub name: String,
    /// The kind of action.
    pub kind: ActionKind,
    /// The person or program that acts.
    pub actor: String,
    /// The time of its start, in milliseconds since the Unix epoch.
    pub since: u64,
    /// The end of the lock, unless it is renewed; 0 after its release.
    pub until: u64,
}

impl ActionLock {
    /// Returns the lock after its release.
    pub fn released(&self) -> Self {
        Self { until: 0, ..self.clone() }
    }

    /// Returns true if the other lock is one of the same action: two operators may use the same name, but not at the same time.
    pub fn has_holder_of(&self, other: &Self) -> bool {
        (&self.name, self.since) == (&other.name, other.since)
    }

    /// Returns true if this lock refuses the action that wants the other lock. A resumed action holds its own lock.
    pub fn refuses(&self, wanted: &Self, now_ms: u64) -> bool {
        self.until > now_ms && !self.has_holder_of(wanted)
    }
}
