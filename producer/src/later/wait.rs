//! The destinations of jobs, and the places where they wait.

#[cfg(feature = "scheduler")]
use std::time::SystemTime;

use drumline_store::outbox::OutboxJob;

use super::held::Held;
use super::servers::{OutboxServer, StoreServer};
#[cfg(feature = "scheduler")]
use crate::scheduler::EventBridgeScheduler;

/// A producer's places for waiting jobs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    pub(crate) outbox: Option<OutboxServer>,
    /// The store of the workers, which records done jobs.
    pub(crate) store: Option<StoreServer>,
    #[cfg(feature = "scheduler")]
    pub(crate) scheduler: Option<EventBridgeScheduler>,
}

/// The destination of a job.
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

/// The place where a job waits, and its stored form.
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
        /// The request, which contains the message.
        body: String,
        due: SystemTime,
    },
}

impl Wait {
    /// Returns the name of the place for errors, used like a queue's name.
    pub(super) fn place(&self) -> &'static str {
        match self {
            Self::Outbox { .. } => "the outbox",
            #[cfg(feature = "scheduler")]
            Self::Scheduler { .. } => "EventBridge Scheduler",
        }
    }
}
