//! Jobs that were taken, and what was prepared of them.

use drumline_store::outbox::TakenJob;

use super::deadline::Deadline;
use super::observer::{FailureClass, ParkedClass};
use crate::pack::Outgoing;
use crate::target_queue::TargetQueue;

/// A job that was taken, as far as it was prepared.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) taken: TakenJob,
    pub(super) deadline: Deadline,
    pub(super) preparation: Preparation,
}

/// A job's message, or the reason for which there is none.
#[derive(Debug)]
pub(super) enum Preparation {
    Ready(TargetQueue, Outgoing),
    /// It can never be sent.
    Refused {
        queue: Option<String>,
        class: ParkedClass,
        reason: String,
    },
    /// Its queue cannot be looked up at present.
    NotNow {
        class: FailureClass,
    },
}
