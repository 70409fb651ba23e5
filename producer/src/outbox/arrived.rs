//! Taken jobs, and the result of their preparation.

use drumline_store::outbox::TakenJob;

use super::deadline::Deadline;
use super::observer::{FailureClass, ParkedClass};
use crate::pack::Outgoing;
use crate::target_queue::TargetQueue;

/// A taken job, prepared as far as possible.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) taken: TakenJob,
    pub(super) deadline: Deadline,
    pub(super) preparation: Preparation,
}

/// A job's message, or the reason why there is none.
#[derive(Debug)]
pub(super) enum Preparation {
    Ready(TargetQueue, Box<Outgoing>),
    /// It can never be sent.
    Refused {
        queue: Option<String>,
        class: ParkedClass,
        reason: String,
    },
    /// Its queue cannot be looked up now.
    NotNow {
        class: FailureClass,
    },
}
