//! The reasons why a job was not sent.

use std::fmt;

/// The reason why a job was not sent. Each text contains a remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProduceError {
    /// The job was refused before anything was sent. The same job would be refused again.
    Refused(Refusal),
    /// SQS refused the message. The same message would be refused again.
    RefusedBySqs(Unsent),
    /// The response of SQS or of the outbox was lost: the message may be in the queue, or the job in the outbox.
    InDoubt(Unsent),
    /// SQS has not accepted the message, or the outbox the job: it could not be reached, was busy, or refuses this sender or
    /// this queue. The same message may be accepted later.
    Unavailable(Unsent),
}

impl ProduceError {
    /// Returns true if the same job may be accepted later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::InDoubt(_) | Self::Unavailable(_))
    }
}

impl fmt::Display for ProduceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::RefusedBySqs(Unsent { job_id, queue, reason }) => {
                write!(f, "SQS refused job {job_id} for {queue}, and would do so again: {reason}")
            }
            Self::InDoubt(Unsent { job_id, queue, reason }) => write!(
                f,
                "job {job_id} may be in {queue}, since the answer was lost: {reason}; to be sure send it again as it was \
                 prepared, with the same id: workers run an id once"
            ),
            Self::Unavailable(Unsent { job_id, queue, reason }) => {
                write!(f, "job {job_id} is not in {queue}, and can be sent again: {reason}")
            }
        }
    }
}

impl std::error::Error for ProduceError {}

impl From<Refusal> for ProduceError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A refused option: its name and the reason.
pub(crate) type Refused = (&'static str, String);

/// The reason why a job was refused before it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The job's type.
    pub job_type: String,
    /// The refused part: a field of the payload (`payload.user.name`), an attribute, or an option such as `delay`.
    pub field: String,
    /// The reason and the remedy.
    pub reason: String,
}

impl Refusal {
    pub(crate) fn new(job_type: &str, field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { job_type: job_type.to_owned(), field: field.into(), reason: reason.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a job {} was not sent: {}: {}", self.job_type, self.field, self.reason)
    }
}

impl std::error::Error for Refusal {}

/// A message that SQS has not confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unsent {
    /// The job's id.
    pub job_id: String,
    /// The name of the queue, or `the outbox`.
    pub queue: String,
    /// The reason, as a text of SQS, of the outbox or of the connection.
    pub reason: String,
}
