//! The answer to a job with a unique key.

/// The answer to a job with a unique key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// It was added, and holds the key.
    New,
    /// Another job holds the key, and waits, is being sent or is parked: the job was not added.
    Waiting {
        /// The id of the other job.
        id: String,
    },
    /// Another job holds the key, and was sent: the job was not added.
    Sent {
        /// The id of the other job.
        id: String,
    },
    /// Another job holds the key, which no relay has ever had, and has the payload of this one now.
    Replaced {
        /// The id of the other job.
        id: String,
    },
}
