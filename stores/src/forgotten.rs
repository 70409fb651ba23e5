//! The result of deleting the record of a done job.

/// The state of a record that should be deleted, see [`Store::forget`](crate::Store::forget).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// The job was done, and its record is now deleted: its next message runs.
    Done,
    /// The job is not done, and nothing was changed: its next message runs anyway.
    NotDone,
    /// A worker holds the claim, and nothing was changed.
    Running,
    /// The store has no record of the key, or only an expired one.
    Absent,
}
