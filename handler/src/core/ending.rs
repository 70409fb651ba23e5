//! The ending of a run.

use std::time::Duration;

use crate::core::claim::PriorRun;
use crate::core::limits::LimitReason;

/// The ending of one run of a handler. Its outcome is decided by [`decide`](crate::core::decide()).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The handler returned `Ok`.
    Done,
    /// The handler failed, and requests a retry.
    RetryAsked {
        /// The requested delay; `None` leaves it to the policy.
        after: Option<Duration>,
        /// The handler's text.
        reason: String,
    },
    /// The handler knows that no attempt can succeed.
    Rejected {
        /// The handler's text.
        reason: String,
    },
    /// The body is not a job, or the payload does not fit its type.
    InvalidPayload {
        /// The problem with it.
        reason: String,
    },
    /// No handler here handles this type, or not yet this version.
    NoHandler {
        /// The type and the version.
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
    /// The lease, or the claim, ended under the running handler.
    LeaseLost,
    /// The handler failed because the process, or its machine, lacks file descriptors or memory. No attempt is counted.
    OutOfResources {
        /// The error in words.
        reason: String,
    },
    /// The handler failed because the target that it calls is unhealthy as a whole. No attempt is counted.
    TargetUnhealthy {
        /// The target's problem in words.
        reason: String,
    },
    /// The handler reports that the service which it calls requests a pause: no job of its type starts until then. No attempt
    /// is counted.
    Throttled {
        /// The pause that the service requested; for the ledger's observers, the time until jobs of the type start again.
        after: Option<Duration>,
        /// The handler's text.
        reason: String,
    },
    /// The handler did not run: a run of the same identity has succeeded before, for another message or in another worker.
    DoneBefore(Box<Duplicate>),
    /// The handler did not run: the message has failed permanently before.
    FailedPermanently {
        /// The reason.
        reason: String,
    },
    /// The handler did not run: the job's claim or its lock is held elsewhere.
    Busy {
        /// The rest of its time, unless it is renewed.
        remaining: Duration,
        /// A text about the claim or the lock.
        reason: String,
    },
    /// The handler did not run: the store of claims does not answer.
    StoreUnavailable {
        /// The store's response.
        reason: String,
    },
    /// The handler did not run: its job waits for a limit, for which its message is held or released to the queue. No attempt
    /// is counted.
    Limited {
        /// The time for which it stays hidden if it is released.
        remaining: Duration,
        /// The limit.
        limit: LimitReason,
        /// The limit, as a text.
        reason: String,
    },
    /// The handler did not run: the payload could not be read from S3, but may be later. No attempt is counted.
    PayloadUnavailable {
        /// The error as a text.
        reason: String,
    },
}

impl Ending {
    /// The class of the failure; `None` if nothing has failed here.
    pub fn class(&self) -> Option<FailureClass> {
        match self {
            Self::Done
            | Self::DoneBefore(_)
            | Self::FailedPermanently { .. }
            | Self::Busy { .. }
            | Self::Limited { .. } => None,
            Self::RetryAsked { .. } => Some(FailureClass::RetryAsked),
            Self::Rejected { .. } => Some(FailureClass::Rejected),
            Self::InvalidPayload { .. } => Some(FailureClass::InvalidPayload),
            Self::NoHandler { .. } => Some(FailureClass::NoHandler),
            Self::Panicked { .. } => Some(FailureClass::Panicked),
            Self::TimedOut => Some(FailureClass::TimedOut),
            Self::Interrupted => Some(FailureClass::Interrupted),
            Self::LeaseLost => Some(FailureClass::LeaseLost),
            Self::OutOfResources { .. } => Some(FailureClass::OutOfResources),
            Self::TargetUnhealthy { .. } => Some(FailureClass::TargetUnhealthy),
            Self::Throttled { .. } => Some(FailureClass::Throttled),
            Self::StoreUnavailable { .. } => Some(FailureClass::StoreUnavailable),
            Self::PayloadUnavailable { .. } => Some(FailureClass::PayloadUnavailable),
        }
    }

    /// Returns true if a handler was run.
    pub fn ran(&self) -> bool {
        match self {
            Self::Done
            | Self::RetryAsked { .. }
            | Self::Rejected { .. }
            | Self::InvalidPayload { .. }
            | Self::NoHandler { .. }
            | Self::Panicked { .. }
            | Self::TimedOut
            | Self::Interrupted
            | Self::LeaseLost
            | Self::OutOfResources { .. }
            | Self::TargetUnhealthy { .. }
            | Self::Throttled { .. } => true,
            Self::DoneBefore(_)
            | Self::FailedPermanently { .. }
            | Self::Busy { .. }
            | Self::Limited { .. }
            | Self::StoreUnavailable { .. }
            | Self::PayloadUnavailable { .. } => false,
        }
    }

    /// Returns the reason if it is the run's own text, so that a host can remove secrets from it.
    pub fn reason_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::RetryAsked { reason, .. }
            | Self::Rejected { reason }
            | Self::InvalidPayload { reason }
            | Self::NoHandler { reason }
            | Self::Panicked { reason }
            | Self::FailedPermanently { reason }
            | Self::Busy { reason, .. }
            | Self::Limited { reason, .. }
            | Self::OutOfResources { reason }
            | Self::TargetUnhealthy { reason }
            | Self::Throttled { reason, .. }
            | Self::StoreUnavailable { reason }
            | Self::PayloadUnavailable { reason } => Some(reason),
            Self::Done | Self::DoneBefore(_) | Self::TimedOut | Self::Interrupted | Self::LeaseLost => None,
        }
    }

    /// Returns the reason why the job is not done, as a text; `None` if it is done.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Done | Self::DoneBefore(_) => None,
            Self::RetryAsked { reason, .. }
            | Self::Rejected { reason }
            | Self::InvalidPayload { reason }
            | Self::NoHandler { reason }
            | Self::Panicked { reason }
            | Self::FailedPermanently { reason }
            | Self::Busy { reason, .. }
            | Self::Limited { reason, .. }
            | Self::OutOfResources { reason }
            | Self::TargetUnhealthy { reason }
            | Self::Throttled { reason, .. }
            | Self::StoreUnavailable { reason }
            | Self::PayloadUnavailable { reason } => Some(reason),
            Self::TimedOut => Some("the attempt's time was over"),
            Self::Interrupted => Some("interrupted by the shutdown"),
            Self::LeaseLost => Some("the lease or the claim was lost"),
        }
    }
}

/// The class of a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureClass {
    /// The handler requests a retry.
    RetryAsked,
    /// The handler knows that no attempt can succeed.
    Rejected,
    /// The body is not a job, or the payload does not fit its type.
    InvalidPayload,
    /// This build has no handler for the type, or not in this version.
    NoHandler,
    /// The handler panicked.
    Panicked,
    /// The attempt's time was over.
    TimedOut,
    /// The process shuts down.
    Interrupted,
    /// The lease or the claim was lost.
    LeaseLost,
    /// The process lacks file descriptors or memory.
    OutOfResources,
    /// The target that the handler calls is unhealthy as a whole.
    TargetUnhealthy,
    /// The service that the handler calls requests a pause.
    Throttled,
    /// The store of claims does not answer.
    StoreUnavailable,
    /// The payload could not be read from S3.
    PayloadUnavailable,
}

impl FailureClass {
    /// Returns the `class` label of `drumline_failures_total`.
    pub fn label(self) -> &'static str {
        match self {
            Self::RetryAsked => "retry_asked",
            Self::Rejected => "rejected",
            Self::InvalidPayload => "undecodable",
            Self::NoHandler => "no_handler",
            Self::Panicked => "panicked",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
            Self::LeaseLost => "lease_lost",
            Self::OutOfResources => "out_of_resources",
            Self::TargetUnhealthy => "target_unhealthy",
            Self::Throttled => "throttled",
            Self::StoreUnavailable => "store_unavailable",
            Self::PayloadUnavailable => "payload_unavailable",
        }
    }
}

/// A job that was not run because a run of its identity has succeeded before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Duplicate {
    /// The cause of the duplicate.
    pub cause: DuplicateCause,
    /// The run that has done it.
    pub prior: PriorRun,
}

/// The cause for which a done job was received again: the `cause` label of `drumline_deduplicated_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DuplicateCause {
    /// SQS redelivered the message whose run succeeded.
    #[default]
    Redelivered,
    /// Another message has the same identity.
    Duplicate,
    /// Another message has the same identity, and comes from a replay: of an archive (SNS, EventBridge), or of a dead letter by the
    /// attribute [`DrumlineJobId`](crate::message::JOB_ID_ATTRIBUTE).
    Replayed,
}

impl DuplicateCause {
    /// The label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Redelivered => "redelivered",
            Self::Duplicate => "duplicate",
            Self::Replayed => "replayed",
        }
    }
}
