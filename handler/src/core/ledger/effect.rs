//! The effects by which a ledger acts: data for its host, which carries them out.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::call::Call;
use crate::core::claim::{Claim, ClaimStep, JobResult, ReleaseClaim};
use crate::core::control::CancelReason;
use crate::core::ids::DeliveryId;
use crate::core::ledger_event::LedgerEvent;
use crate::core::limits::Permit;
use crate::core::next_job::NextJobs;
use crate::core::outcome_cache::PriorOutcome;
use crate::core::receives::Receive;
use crate::message::sqs_message::Message;

/// An action for the host to perform. Effects contain no decisions.
///
/// A host must perform every one, so it matches them without a wildcard, and a new variant deliberately breaks its build.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Run the handler of this delivery, and report to [`Ledger::ended`](crate::core::Ledger::ended).
    Start(Start),
    /// Ask the run to stop: [`RunControl::cancel`](crate::core::RunControl::cancel).
    Cancel(DeliveryId, CancelReason),
    /// Make the run stop: [`RunControl::abort`](crate::core::RunControl::abort).
    Abort(DeliveryId),
    /// Open a receive, and report to [`Ledger::received`](crate::core::Ledger::received) or
    /// [`Ledger::receive_failed`](crate::core::Ledger::receive_failed).
    Receive(Receive),
    /// Pass this step to a run that waits for its claim: [`RunControl::claim_step`](crate::core::RunControl::claim_step).
    Claim(DeliveryId, ClaimStep),
    /// Renew this claim, and report to [`Ledger::claim_renewed`](crate::core::Ledger::claim_renewed).
    RenewClaim {
        /// The delivery whose run holds it.
        delivery: DeliveryId,
        /// The claim.
        claim: Arc<Claim>,
        /// The duration, from now.
        length: Duration,
    },
    /// Mark the job of this claim as done, and report to [`Ledger::marked`](crate::core::Ledger::marked). May be requested
    /// again before it is answered.
    Mark {
        /// The delivery whose run has succeeded.
        delivery: DeliveryId,
        /// Its claim.
        claim: Arc<Claim>,
        /// The result to keep.
        result: Option<JobResult>,
        /// The jobs to add: with the mark, or not at all.
        next: Option<NextJobs>,
    },
    /// Release this claim of an ended run, and report to [`Ledger::claim_released`](crate::core::Ledger::claim_released).
    ReleaseClaim {
        /// The delivery.
        delivery: DeliveryId,
        /// The claim.
        claim: Arc<Claim>,
        /// The kind of the release.
        how: ReleaseClaim,
    },
    /// Make this call, and report to [`Ledger::called`](crate::core::Ledger::called).
    Call(Call),
    /// Record the final disposition of a message: a batch's response is made of these. Emitted exactly once for each
    /// delivery that has an outcome, and never before its run has ended.
    Finished {
        /// The delivery.
        delivery: DeliveryId,
        /// Its message.
        message: Arc<Message>,
        /// The permission for the host to delete the message, or the reason to keep it.
        disposition: Disposition,
    },
    /// Remember the latest state of a message, if the host outlives this ledger
    /// ([`OutcomeCache::learn`](crate::core::OutcomeCache::learn)). At once and not at the ledger's end, because SQS may
    /// redeliver the message to another ledger before.
    Remember {
        /// The message.
        message: Arc<Message>,
        /// Its state.
        prior: PriorOutcome,
    },
    /// Log or count this. No response and no settlement depends on a note: a host may drop them all.
    Event(LedgerEvent),
}

/// A run to start.
#[derive(Debug, PartialEq)]
pub struct Start {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its message.
    pub message: Arc<Message>,
    /// The number of the attempt.
    pub attempt: NonZeroU32,
    /// The time at which it begins.
    pub started_at: Instant,
    /// The time at which the ledger cancels it, unless its type has a separate timeout:
    /// [`Ledger::set_job_type`](crate::core::Ledger::set_job_type).
    pub deadline: Instant,
    /// The latest time at which the ledger cancels it, for any type.
    pub latest_deadline: Instant,
    /// The duration for which its claim is requested, if claims are kept.
    pub claim_length: Duration,
    /// The permit, if it has waited for one.
    pub permit: Option<Permit>,
}

/// The final disposition of a message, for the host of its ledger. A host matches it without a wildcard, and a new variant
/// deliberately breaks its build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// Its job is done: the message may be deleted. A ledger that acknowledges by deletes requests the delete itself.
    Done,
    /// It failed permanently, and SQS has confirmed a copy in the DLQ: the message may be deleted.
    DeadLettered,
    /// It failed permanently and must stay in the queue: only the redrive policy may take it.
    FailedPermanently,
    /// It must stay in the queue, and is redelivered.
    Returned,
}

impl Disposition {
    /// Returns true if the host may delete the message.
    pub fn may_be_deleted(self) -> bool {
        match self {
            Self::Done | Self::DeadLettered => true,
            Self::FailedPermanently | Self::Returned => false,
        }
    }

    /// Returns true if no attempt at the message can succeed.
    pub fn failed_permanently(self) -> bool {
        match self {
            Self::DeadLettered | Self::FailedPermanently => true,
            Self::Done | Self::Returned => false,
        }
    }
}
