//! A job that died, as counted by a watch.

use crate::letter::Letter;
use crate::letter_id::LetterId;
use crate::origin::claimed_origin;

/// A job that died: a letter, or the failure after which a worker expects one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The id of its message.
    pub message: LetterId,
    /// The name of the queue in which it died.
    pub origin: Option<String>,
    /// The type of its job.
    pub job_type: Option<String>,
    /// The class of its failure.
    pub class: Option<String>,
    /// The reason as it was written.
    pub reason: String,
}

impl Death {
    /// Returns the death of a letter.
    pub fn of(letter: &Letter) -> Self {
        let cause = letter.why();
        let name = |origin: &str| origin.rsplit(':').next().unwrap_or(origin).to_owned();
        Self {
            message: LetterId::of(letter.original_id()),
            origin: claimed_origin(letter).map(name),
            job_type: letter.job_type().map(str::to_owned),
            class: cause.class,
            reason: cause.reason,
        }
    }
}
