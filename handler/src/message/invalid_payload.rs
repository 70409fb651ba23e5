//! The error of a message that is not a job.

/// The reason why a body is not a job, worded for the owner of the producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPayload(pub(crate) String);

impl std::fmt::Display for InvalidPayload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidPayload {}
