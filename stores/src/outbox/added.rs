//! The result of adding a job with a unique key.

/// The result of adding a job with a unique key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// It was added, and holds the key.
    New,
    /// Another job that waits, is being sent or is parked holds the key: the job was not added.
    Waiting {
        /// The id of the other job.
        id: String,
    },
    /// Another job that was sent holds the key: the job was not added.
    Sent {
        /// The id of the other job.
        id: String,
    },
    /// Another job, which no relay has ever taken, holds the key. It now has the payload of this one.
    Replaced {
        /// The id of the other job.
        id: String,
    },
}
