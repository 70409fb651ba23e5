//! The faults of a run: its stop, and the store's answer to its claim.

use std::future::Future;
use std::pin::Pin;

use crate::core::control::CancelReason;

/// The moment at which a run is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Before the handler's first line.
    Start,
    /// Once the handler has reported this much progress, or more.
    Progress(u64),
    /// Once the handler waits for the first time.
    FirstWait,
}

/// A stop of a run, as a host stops it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    pub(super) at: At,
    pub(super) reason: CancelReason,
    /// The run has lost its claim, and not only the message's lease.
    pub(super) takes_claim: bool,
}

/// A stop at a moment that the test determines: once the future is ready.
pub(super) struct Signal {
    pub(super) reason: CancelReason,
    pub(super) ready: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// A stop that did not happen before the run's end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Missed {
    Moment(At),
    Signal,
}

/// The answer to the run's request for its claim, if it is not the store's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClaimTrouble {
    /// The job is claimed elsewhere.
    Busy,
    /// The job's lock is held elsewhere.
    Locked,
    /// There is no answer.
    Unanswered,
}
