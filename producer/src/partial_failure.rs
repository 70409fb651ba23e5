//! The result of sending many jobs if some were not sent.

use std::fmt;

use crate::error::ProduceError;
use crate::prepared::Prepared;
use crate::receipt::Receipt;

/// The error of a call in which some or all jobs were not sent.
#[must_use = "some jobs were not sent"]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartialFailure {
    /// The jobs that were sent, each with its index in the call.
    pub sent: Vec<(usize, Receipt)>,
    /// The jobs that were not sent, or may have been: at least one, in the order of their indexes.
    pub failed: Vec<FailedJob>,
}

/// A job that was not sent, or may have been.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedJob {
    /// The index of the job in the call, from 0.
    pub position: usize,
    /// Its type.
    pub job_type: String,
    /// The reason.
    pub error: ProduceError,
    /// The prepared job; `None` if it was refused before.
    pub prepared: Option<Prepared>,
}

impl PartialFailure {
    /// Returns the prepared jobs that SQS has not confirmed, for [`Producer::send_prepared`](crate::Producer::send_prepared):
    /// they keep their ids.
    pub fn into_prepared(self) -> Vec<Prepared> {
        self.failed.into_iter().filter_map(|job| job.prepared).collect()
    }
}

impl fmt::Display for PartialFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.sent.len() + self.failed.len();
        let is_in_doubt = |job: &&FailedJob| matches!(job.error, ProduceError::InDoubt(_));
        let in_doubt = self.failed.iter().filter(is_in_doubt).count();
        let unsent = self.failed.len() - in_doubt;
        let (s, were) = (if all == 1 { "" } else { "s" }, if unsent == 1 { "was" } else { "were" });
        write!(f, "{unsent} of {all} job{s} {were} not sent")?;
        if in_doubt > 0 {
            write!(f, ", and {in_doubt} may have been")?;
        }
        match self.failed.first() {
            Some(first) => write!(f, "; the first, at position {}: {}", first.position, first.error),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PartialFailure {}
