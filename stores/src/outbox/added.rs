//! What became of a job with a unique key.

/// What became of a job with a unique key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// It was added, and holds the key.
    New,
    /// Another job holds the key, and waits or is being sent: the job was not added.
    Waiting {
        /// The id of the other job.
        id: String,
    },
    /// Another job holds the key, and was sent: the job was not added.
    Sent {
        /// The id of the other job.
        id: String,
    },
    /// Another job holds the key, and has the payload of this one now.
    Replaced {
        /// The id of the other job.
        id: String,
    },
}
