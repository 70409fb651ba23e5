//! The reason and the time for which a job waits for its limits.

use std::time::{Duration, Instant};

use super::job_class::JobClass;
use super::limit_reason::LimitReason;
use crate::core::ending::Ending;
use crate::core::reason::bounded;

/// The wait of a job for its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitWait {
    /// The limit.
    pub reason: LimitReason,
    /// The time of its next request; `None` if it waits for a change: the end of a run, tokens, an operator.
    pub until: Option<Instant>,
}

impl LimitWait {
    /// Returns the ending of a run whose job has to wait, and whose message is hidden for `remaining` if it is released.
    pub(crate) fn ending(self, class: &JobClass, remaining: Duration) -> Ending {
        let reason = bounded(format!("{} waits for its limit: {}", class.job_type, self.reason.words()));
        Ending::Limited { remaining, limit: self.reason, reason }
    }
}
