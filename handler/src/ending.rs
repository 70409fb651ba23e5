//! How a run ended.

use std::sync::Arc;
use std::time::Duration;

/// How one run of a handler ended. What follows from it is decided by [`decide`](crate::decide()).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The handler returned `Ok`.
    Done,
    /// The handler failed, and wants to be tried again.
    RetryAsked {
        /// The delay it asked for; `None` leaves it to the policy.
        after: Option<Duration>,
        /// Its words.
        reason: String,
    },
    /// The handler knows that no attempt can succeed.
    Rejected {
        /// Its words.
        reason: String,
    },
    /// The body is no job, or the payload does not fit its type.
    Undecodable {
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody here handles this type, or not yet in this version.
    NoHandler {
        /// Which type and version.
        reason: String,
    },
    /// The handler panicked.
    Panicked {
        /// The panic's message.
        reason: String,
    },
    /// The attempt's time was over, and the handler has stopped.
    TimedOut,
    /// The process shuts down, and the handler has stopped.
    Interrupted,
    /// The lease ended under the running handler.
    LeaseLost,
}

impl Ending {
    /// The `class` label of `drumline_failures_total`; `None` for [`Ending::Done`].
    pub fn class(&self) -> Option<&'static str> {
        match self {
            Self::Done => None,
            Self::RetryAsked { .. } => Some("retry_asked"),
            Self::Rejected { .. } => Some("rejected"),
            Self::Undecodable { .. } => Some("undecodable"),
            Self::NoHandler { .. } => Some("no_handler"),
            Self::Panicked { .. } => Some("panicked"),
            Self::TimedOut => Some("timed_out"),
            Self::Interrupted => Some("interrupted"),
            Self::LeaseLost => Some("lease_lost"),
        }
    }

    /// The failure in words; `None` for [`Ending::Done`].
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Done => None,
            Self::RetryAsked { reason, .. }
            | Self::Rejected { reason }
            | Self::Undecodable { reason }
            | Self::NoHandler { reason }
            | Self::Panicked { reason } => Some(reason),
            Self::TimedOut => Some("the attempt's time was over"),
            Self::Interrupted => Some("interrupted by the shutdown"),
            Self::LeaseLost => Some("the lease was lost"),
        }
    }
}

/// What a finished run reports to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub ending: Ending,
    /// The job's type where it was told and has a handler: policies and metrics go by it.
    pub job_type: Option<Arc<str>>,
}
