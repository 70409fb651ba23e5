//! One attempt at a message, before its run.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::arrivals::Arrival;
use crate::api::run_environment::RunEnvironment;
use crate::core::control::RunControl;
use crate::core::ids::DeliveryId;
use crate::core::limits::Permit;
use crate::message::intake::Intake;
use crate::message::sqs_message::Message;

/// What a run is made of.
pub struct Attempt {
    /// The delivery that it is about.
    pub delivery: DeliveryId,
    /// The queue's label in logs: its name, after its region or account and a slash if others share the name.
    pub queue: Arc<str>,
    /// The rules by which the queue's messages become jobs.
    pub intake: Arc<Intake>,
    /// The message.
    pub message: Arc<Message>,
    /// Which attempt it is, counted in receives; a claim may know better.
    pub number: NonZeroU32,
    /// The time at which it began.
    pub started_at: Instant,
    /// The time at which it is cancelled, unless its type has a timeout of its own.
    pub deadline: Instant,
    /// The time at which it is cancelled at the latest, regardless of its type.
    pub latest_deadline: Instant,
    /// For how long a claim is asked for; the ledger renews it.
    pub claim_length: Duration,
    /// The permission to run, if it has waited for one.
    pub permit: Option<Permit>,
    /// By which open batches wait for it: [`Router::arrival`](crate::Router::arrival), made before the run may begin. `None` does no harm
    /// but to the size of batches.
    pub arrival: Option<Arrival>,
    /// By which the host stops it.
    pub control: RunControl,
    /// What the host lends.
    pub host: Arc<dyn RunEnvironment>,
}
