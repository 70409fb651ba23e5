//! One attempt at a message, before it runs.

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

/// The data of an attempt.
pub struct Attempt {
    /// The delivery of the message.
    pub delivery: DeliveryId,
    /// The queue's label in logs: its name, after its region or account and a slash if others share the name.
    pub queue: Arc<str>,
    /// The rules that turn the queue's messages into jobs.
    pub intake: Arc<Intake>,
    /// The message.
    pub message: Arc<Message>,
    /// The number of the attempt, counted in receives. A claim may know a more exact one.
    pub number: NonZeroU32,
    /// The time at which the attempt began.
    pub started_at: Instant,
    /// The time at which it is cancelled, unless its type has a separate timeout.
    pub deadline: Instant,
    /// The latest time at which it is cancelled, for any type.
    pub latest_deadline: Instant,
    /// The duration for which a claim is requested. The ledger renews the claim.
    pub claim_length: Duration,
    /// The permit to run, if the attempt has waited for one.
    pub permit: Option<Permit>,
    /// The announcement of this run to open batches: [`Router::arrival`](crate::Router::arrival), made before the run may
    /// begin. With `None` only batches may be smaller.
    pub arrival: Option<Arrival>,
    /// The control with which the host stops the run.
    pub control: RunControl,
    /// The host's services for the run.
    pub host: Arc<dyn RunEnvironment>,
}
