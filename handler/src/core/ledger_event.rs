//! Telemetry: events of the ledger for logs and metrics. Results are separate effects: no response and no settlement depends on
//! a note.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::claim::{Claim, Takeover};
use crate::core::ending::{DuplicateCause, Ending};
use crate::core::ids::DeliveryId;
use crate::core::limits::{JobClass, LimitReason};
use crate::core::outcome::Outcome;
use crate::core::pause::Pause;
use crate::message::identity::Identity;
use crate::message::sqs_message::Message;

/// Something worth logging or counting.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LedgerEvent {
    /// A delivery has its outcome.
    Decided {
        /// The delivery.
        delivery: DeliveryId,
        /// Its message.
        message: Arc<Message>,
        /// Its outcome.
        outcome: Outcome,
        /// The ending of its run; `None` if it was not run.
        run: Option<RunFacts>,
    },
    /// The outcome is confirmed by SQS.
    Settled(Arc<Message>),
    /// SQS did not confirm the settlement before the lease ended. The message is redelivered.
    Unsettled {
        /// Its message.
        message: Arc<Message>,
        /// The last error.
        error: String,
    },
    /// A call failed for this message, and is retried.
    CallFailed {
        /// Its message.
        message: Arc<Message>,
        /// The error.
        error: String,
    },
    /// The visibility may not be changed, so the message is redelivered when its lease ends and not at the planned time.
    Refused {
        /// Its message.
        message: Arc<Message>,
        /// The missing permission.
        error: String,
    },
    /// SQS redelivered a message whose job is done: it is deleted without another run.
    Deduplicated {
        /// The message.
        message: Arc<Message>,
        /// The time since when its job is done.
        done_at: Instant,
    },
    /// The message was received again while it is in hand: it keeps its slot, with the new receipt.
    ReceivedAgain(Arc<Message>),
    /// A copy of the message is in the DLQ.
    Moved(Arc<Message>),
    /// A message failed permanently, and its queue has no DLQ. It stays in the queue, and is redelivered.
    NoDeadLetterQueue(Arc<Message>),
    /// This many leases were renewed.
    Renewed(usize),
    /// A lease could not be renewed this time.
    RenewalFailed {
        /// Its message.
        message: Arc<Message>,
        /// The error.
        error: String,
    },
    /// The lease of a delivery ended.
    LeaseLost(Arc<Message>),
    /// A claim could not be renewed. Noted for the first of several failures in a row.
    ClaimRenewalFailed {
        /// Its message.
        message: Arc<Message>,
        /// The error.
        error: String,
    },
    /// The store answered that the claim of a run belongs to another run.
    ClaimLost(Arc<Message>),
    /// A run starts without a claim, because the store does not answer.
    RunsUnclaimed(Arc<Message>),
    /// A done job could not be marked as done; its message is kept, and the mark is requested again. Noted once for each
    /// message.
    MarkFailed {
        /// Its message.
        message: Arc<Message>,
        /// The id of its job.
        job_id: Arc<str>,
        /// The error.
        error: String,
    },
    /// The store refuses the result of a done job: the mark is written without it.
    ResultRefused {
        /// Its message.
        message: Arc<Message>,
        /// The error.
        error: String,
    },
    /// The message of a done job is deleted without a mark: a duplicate of the job would run.
    Unmarked {
        /// The message.
        message: Arc<Message>,
        /// The id of its job.
        job_id: Arc<str>,
        /// The reason.
        error: String,
    },
    /// The claim of an ended run could not be released in time: it ends by itself.
    ClaimNotReleased(Arc<Message>),
    /// A run lacked resources, or a healthy target, or was throttled: its message waits in hand to run again, which costs no attempt
    /// and no receive.
    KeptInHand {
        /// The message.
        message: Arc<Message>,
        /// The run.
        run: RunFacts,
    },
    /// A message waits in hand for a lock that another job holds, which takes no slot and costs no receive.
    WaitsForLock {
        /// The message.
        message: Arc<Message>,
        /// The lock.
        lock: Arc<str>,
    },
    /// Jobs of a class wait for a limit, with their messages in hand or released to the queue. Emitted once, until none has
    /// waited for a minute.
    WaitsForLimit {
        /// The class.
        class: JobClass,
        /// The limit.
        reason: LimitReason,
        /// The time until the next one may start, if that is known.
        opens_in: Option<Duration>,
    },
    /// The number of messages of a type that wait in hand for a limit has changed.
    HeldForLimit {
        /// The job type.
        job_type: Arc<str>,
        /// The limit.
        reason: LimitReason,
        /// The number so far.
        before: usize,
        /// The number now.
        count: usize,
    },
    /// A message that may kill the process waits to run alone.
    Isolated(Arc<Message>),
    /// A job was taken over from a run that never ended, mostly because its worker has died.
    Stalled {
        /// The message.
        message: Arc<Message>,
        /// The claim of the run that follows.
        claim: Arc<Claim>,
        /// The run that never ended.
        takeover: Takeover,
    },
    /// A receive returned messages, or none.
    Received {
        /// The number of messages.
        count: usize,
        /// The time at which the oldest of them was sent, since the Unix epoch, if it is known.
        oldest_sent_at: Option<Duration>,
    },
    /// A receive was answered at once without messages, by an endpoint that does not wait or because the wait time is 0: empty
    /// receives are slowed down to ten a second. Noted once.
    EmptyAtOnce,
    /// A receive failed; none is opened for this long. One note for each failed round, and at most one a second for failures
    /// beside successes.
    ReceiveFailed {
        /// The error.
        error: String,
        /// The wait.
        retry_in: Duration,
    },
    /// No messages are received from the queue until this ends.
    Paused(Pause),
    /// A pause has ended; messages are received again unless another pause holds.
    Resumed {
        /// The pause.
        pause: Pause,
        /// The time since its beginning.
        lasted: Duration,
    },
    /// A receive does not end; another one replaces it.
    ReceiveOverdue,
}

impl LedgerEvent {
    /// The number of kinds.
    #[doc(hidden)]
    pub const KINDS: usize = 31;

    /// Numbers the kinds from 0, for tests of observers: they emit notes of all [`KINDS`](Self::KINDS), and a new note does not
    /// compile until it is numbered here.
    #[doc(hidden)]
    pub fn kind(&self) -> usize {
        match self {
            Self::Decided { .. } => 0,
            Self::Settled(_) => 1,
            Self::Unsettled { .. } => 2,
            Self::CallFailed { .. } => 3,
            Self::Refused { .. } => 4,
            Self::Deduplicated { .. } => 5,
            Self::ReceivedAgain(_) => 6,
            Self::Moved(_) => 7,
            Self::NoDeadLetterQueue(_) => 8,
            Self::Renewed(_) => 9,
            Self::RenewalFailed { .. } => 10,
            Self::LeaseLost(_) => 11,
            Self::ClaimRenewalFailed { .. } => 12,
            Self::ClaimLost(_) => 13,
            Self::Isolated(_) => 14,
            Self::Received { .. } => 15,
            Self::ReceiveFailed { .. } => 16,
            Self::Paused(_) => 17,
            Self::Resumed { .. } => 18,
            Self::ReceiveOverdue => 19,
            Self::RunsUnclaimed(_) => 20,
            Self::MarkFailed { .. } => 21,
            Self::ResultRefused { .. } => 22,
            Self::Unmarked { .. } => 23,
            Self::ClaimNotReleased(_) => 24,
            Self::KeptInHand { .. } => 25,
            Self::EmptyAtOnce => 26,
            Self::Stalled { .. } => 27,
            Self::WaitsForLock { .. } => 28,
            Self::WaitsForLimit { .. } => 29,
            Self::HeldForLimit { .. } => 30,
        }
    }

    /// The outcome that `drumline_jobs_total` counts, with the job's type. `None` for a message that failed permanently
    /// before: it was counted then, and is received again until the redrive policy takes it.
    pub fn counted_outcome(&self) -> Option<(Option<&str>, &Outcome)> {
        let Self::Decided { outcome, run, .. } = self else { return None };
        let failed_before = matches!(outcome, Outcome::DeadLetter(_))
            && run.as_ref().is_none_or(|run| matches!(run.ending, Ending::FailedPermanently { .. }));
        (!failed_before).then(|| (run.as_ref().and_then(RunFacts::job_type), outcome))
    }

    /// Returns the ended run, if its handler ran, or if the message failed before it because its payload was missing:
    /// `drumline_job_duration_seconds` if the handler ran, and `drumline_failures_total` if it has a class.
    pub fn finished_run(&self) -> Option<&RunFacts> {
        let run = match self {
            Self::Decided { run, .. } => run.as_ref(),
            Self::KeptInHand { run, .. } => Some(run),
            _ => None,
        };
        run.filter(|run| run.ending.ran() || matches!(run.ending, Ending::PayloadUnavailable { .. }))
    }

    /// Returns the limit for which a message is released to the queue, with the job's type: `drumline_limit_returned_total`.
    pub fn returned_for_limit(&self) -> Option<(Option<&str>, LimitReason)> {
        match self {
            Self::Decided { outcome: Outcome::RetryAfter(_), run: Some(run), .. } => match run.ending {
                Ending::Limited { limit, .. } => Some((run.job_type(), limit)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns the cause for which a message is deleted without a run, with the job's type: `drumline_deduplicated_total`.
    pub fn deduplicated(&self) -> Option<(Option<&str>, DuplicateCause)> {
        match self {
            Self::Deduplicated { .. } => Some((None, DuplicateCause::Redelivered)),
            Self::Decided { outcome: Outcome::Ack, run: Some(run), .. } => match &run.ending {
                Ending::DoneBefore(duplicate) => Some((run.job_type(), duplicate.cause)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The facts of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFacts {
    /// The job's type, where it has a handler.
    pub job_type: Option<Arc<str>>,
    /// The job's identity, as far as it is known.
    pub identity: Option<Arc<Identity>>,
    /// The correlation id that the job's producer gave it.
    pub correlation_id: Option<Arc<str>>,
    /// The number of the attempt.
    pub attempt: std::num::NonZeroU32,
    /// Its ending.
    pub ending: Ending,
    /// The time from the start to the ending.
    pub took: Duration,
    /// No other attempt follows: SQS moves the message to the DLQ instead of delivering it again.
    pub last_attempt: bool,
}

impl RunFacts {
    /// Returns the ID of the request that caused the job, else the job's ID.
    pub fn correlation_id(&self) -> Option<&str> {
        let job_id = || self.identity.as_ref().map(|identity| &**identity.job_id());
        self.correlation_id.as_deref().or_else(job_id)
    }

    /// The job's type, if it has a handler.
    pub fn job_type(&self) -> Option<&str> {
        self.job_type.as_deref()
    }
}
