//! The events of a host, as observers receive them.

use std::sync::Arc;
use std::time::Duration;

use crate::api::attempt_info::AttemptInfo;
use crate::api::failure::Failure;
use crate::api::progress::Progress;
use crate::core::ending::Ending;
use crate::core::ledger::DrainSummary;
use crate::core::ledger_event::LedgerEvent;
use crate::core::requests::{SqsAction, SqsResult, StoreOperation, StoreResult};

/// An event of a host. It borrows all its data, so an event costs nothing if no observer needs it.
///
/// All events except the requests belong to one queue. Values that become labels of metrics are enums with a `label()`; only an
/// observer turns them into text.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A run has found its handler, has its claim, and is about to start.
    RunStarted {
        /// The attempt that runs.
        attempt: &'a AttemptInfo,
    },
    /// A run that began has ended.
    RunEnded {
        /// The attempt that runs.
        attempt: &'a AttemptInfo,
        /// The ending of its handler. The ledger decides the outcome, reported as [`LedgerEvent::Decided`].
        ending: &'a Ending,
        /// The failure that its handler returned, with the error that it was made of.
        failure: Option<&'a Failure>,
    },
    /// A handler has reported its progress.
    Progress {
        /// The attempt that runs.
        attempt: &'a AttemptInfo,
        /// The progress.
        progress: &'a Progress,
    },
    /// The ledger of a queue has emitted a note.
    Ledger {
        /// The queue's name.
        queue: &'a str,
        /// The note.
        note: &'a LedgerEvent,
    },
    /// The number of deliveries in hand, after each turn of a queue's loop.
    InHand {
        /// The queue's name.
        queue: &'a str,
        /// Deliveries that wait, run or are being settled.
        count: usize,
    },
    /// A polled queue becomes reachable, or unreachable.
    Reachability {
        /// The queue's name.
        queue: &'a str,
        /// True if it is reachable.
        reachable: bool,
    },
    /// A queue's drain begins.
    Draining {
        /// The queue's name.
        queue: &'a str,
        /// Deliveries in hand.
        in_hand: usize,
        /// Handlers that run.
        running: usize,
        /// The time for which they may continue.
        grace: Duration,
    },
    /// A queue's drain is over.
    Drained {
        /// The queue's name.
        queue: &'a str,
        /// Its result.
        summary: DrainSummary,
    },
    /// The hook for dead jobs has been called for a job: it has succeeded, or failed in each try.
    DeadJobHook {
        /// The queue's name.
        queue: &'a str,
        /// The id of the job's message.
        message_id: &'a Arc<str>,
        /// True if it has succeeded.
        succeeded: bool,
    },
    /// A request to SQS has ended.
    SqsRequest {
        /// The API action.
        action: SqsAction,
        /// The result.
        result: SqsResult,
    },
    /// A request to the store of claims and histories has ended. It belongs to the process, since queues share the store.
    StoreRequest {
        /// The operation.
        operation: StoreOperation,
        /// The result.
        result: StoreResult,
    },
    /// The SDK's client of SQS has made a request that the lean client failed to make. From now on it makes all requests of the
    /// process.
    SqsClientReplaced,
}

impl Event<'_> {
    /// The number of kinds.
    #[doc(hidden)]
    pub const KINDS: usize = 12;

    /// Numbers the kinds from 0, for tests of observers: they emit events of all [`KINDS`](Self::KINDS), and a new event does not
    /// compile until it is numbered here.
    #[doc(hidden)]
    pub fn kind(&self) -> usize {
        match self {
            Self::RunStarted { .. } => 0,
            Self::RunEnded { .. } => 1,
            Self::Progress { .. } => 2,
            Self::Ledger { .. } => 3,
            Self::InHand { .. } => 4,
            Self::Reachability { .. } => 5,
            Self::Draining { .. } => 6,
            Self::Drained { .. } => 7,
            Self::SqsRequest { .. } => 8,
            Self::StoreRequest { .. } => 9,
            Self::SqsClientReplaced => 10,
            Self::DeadJobHook { .. } => 11,
        }
    }
}
