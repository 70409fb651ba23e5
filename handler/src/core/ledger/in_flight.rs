//! The calls in flight: what their answers are about.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::ids::DeliveryId;
use crate::message::sqs_message::Message;

/// A call that was not answered in this time never will be: hosts give up earlier. Its deliveries have long been
/// looked after by their leases.
pub(super) const CALL_PATIENCE: Duration = Duration::from_secs(120);

/// A call in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) deliveries: Vec<DeliveryId>,
    pub(super) asked_at: Instant,
    pub(super) about: About,
}

/// What the answer to a call is about.
#[derive(Debug)]
pub(super) enum About {
    /// Leases, renewed for this long each.
    Renewals(Vec<Duration>),
    /// Deletes, or visibilities of what has ended.
    Settlements,
    /// A copy of this message in the DLQ.
    Copy(Arc<Message>),
}
