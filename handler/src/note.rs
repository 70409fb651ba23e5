//! Telemetry: events of the ledger for logs and metrics. Results are effects of their own: no response and no
//! settlement depends on a note.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::delivery::DeliveryId;
use crate::ending::Ending;
use crate::identity::Identity;
use crate::message::Message;
use crate::outcome::Outcome;
use crate::pause::Pause;

/// Something worth logging or counting.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// A delivery has its outcome.
    Decided {
        /// Which one.
        delivery: DeliveryId,
        /// Its message.
        message: Arc<Message>,
        /// What becomes of it.
        outcome: Outcome,
        /// How its run ended; `None` where it was not run at all.
        run: Option<RunFacts>,
    },
    /// The outcome is confirmed by SQS.
    Settled(Arc<Message>),
    /// What was to be said to SQS could not be, until the lease ended. The message comes back.
    Unsettled {
        /// Its message.
        message: Arc<Message>,
        /// The last error.
        error: String,
    },
    /// A call failed for this message, and is tried again.
    CallFailed {
        /// Its message.
        message: Arc<Message>,
        /// The error.
        error: String,
    },
    /// The visibility may not be changed, so the message comes back when its lease ends and not when it was to.
    Refused {
        /// Its message.
        message: Arc<Message>,
        /// What permission is missing.
        error: String,
    },
    /// SQS delivered a message again whose job is done: it is deleted without another run.
    Deduplicated {
        /// The message.
        message: Arc<Message>,
        /// Since when its job is done.
        done_at: Instant,
    },
    /// The message was received again while it is in hand: it keeps its place, with the new receipt.
    ReceivedAgain(Arc<Message>),
    /// A copy of the message is in the DLQ.
    Moved(Arc<Message>),
    /// A permanent failure has no DLQ to go to. The message stays, and comes back.
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
    /// A lease ended under a delivery.
    LeaseLost(Arc<Message>),
    /// A claim could not be renewed this time.
    ClaimRenewalFailed {
        /// Its message.
        message: Arc<Message>,
        /// The error.
        error: String,
    },
    /// A claim ended under a running handler.
    ClaimLost(Arc<Message>),
    /// A message that may kill the process waits to run alone.
    Isolated(Arc<Message>),
    /// A receive brought messages, or none.
    Received(usize),
    /// A receive was answered with nothing at once, by an endpoint that does not wait or because the wait time is 0: empty
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
    /// The queue is not received from until this ends.
    Paused(Pause),
    /// A pause has ended; the queue is received from again unless another one holds.
    Resumed {
        /// The pause.
        pause: Pause,
        /// From its beginning.
        lasted: Duration,
    },
    /// A receive does not end; another one takes its place.
    ReceiveOverdue,
}

/// What is known of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFacts {
    /// The job's type, where it has a handler.
    pub job_type: Option<Arc<str>>,
    /// The job's identity, as far as it is known.
    pub identity: Option<Arc<Identity>>,
    /// Which attempt it was.
    pub attempt: std::num::NonZeroU32,
    /// How it ended.
    pub ending: Ending,
    /// From the start to the ending.
    pub took: Duration,
}
