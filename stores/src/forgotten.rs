//! What forgetting a done job found.

/// The state of a record that was to be forgotten, see [`Store::forget`](crate::Store::forget).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// The job was done, and is not any more: its next message runs.
    Done,
    /// The job is not done, and nothing was changed: its next message runs anyway.
    NotDone,
    /// A worker has the claim, and nothing was changed.
    Running,
    /// The store has no record of the key, or none that has not expired.
    Absent,
}
