//! The places to which jobs go, and in which they wait.

#[cfg(feature = "scheduler")]
use std::time::SystemTime;

use drumline_store::outbox::OutboxJob;

use super::held::Held;
use super::servers::{OutboxServer, StoreServer};
#[cfg(feature = "scheduler")]
use crate::scheduler::EventBridgeScheduler;

/// What a producer has for jobs that wait.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    pub(crate) outbox: Option<OutboxServer>,
    /// The store of the workers, which knows what is done.
    pub(crate) store: Option<StoreServer>,
    #[cfg(feature = "scheduler")]
    pub(crate) scheduler: Option<EventBridgeScheduler>,
}

/// The place to which a job goes.
pub(crate) enum Destination {
    Queue {
        delay_secs: Option<u16>,
    },
    Outbox(OutboxServer),
    #[cfg(feature = "scheduler")]
    Scheduler {
        scheduler: EventBridgeScheduler,
        due: SystemTime,
    },
}

/// The place in which a job waits, and the job as it is kept there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wait {
    Outbox {
        outbox: OutboxServer,
        job: Box<OutboxJob>,
        held: Option<Box<Held>>,
    },
    #[cfg(feature = "scheduler")]
    Scheduler {
        scheduler: EventBridgeScheduler,
        /// The request, which has the message in it.
        body: String,
        due: SystemTime,
    },
}

impl Wait {
    /// Returns the name of the place in errors, where that of a queue stands otherwise.
    pub(super) fn place(&self) -> &'static str {
        match self {
            Self::Outbox { .. } => "the outbox",
            #[cfg(feature = "scheduler")]
            Self::Scheduler { .. } => "EventBridge Scheduler",
        }
    }
}
