//! The calls in flight, and the subjects of their answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::ids::DeliveryId;
use crate::message::sqs_message::Message;

/// A call that is not answered in this time never will be: hosts abandon it earlier. Its deliveries have been handled by their
/// leases long before.
pub(super) const CALL_PATIENCE: Duration = Duration::from_secs(120);

/// A call in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) deliveries: Vec<DeliveryId>,
    pub(super) asked_at: Instant,
    pub(super) about: About,
}

/// The subject of a call's answer.
#[derive(Debug)]
pub(super) enum About {
    /// Leases, renewed for this duration each.
    Renewals(Vec<Duration>),
    /// Deletes, or visibilities of ended deliveries.
    Settlements,
    /// A copy of this message in the DLQ.
    Copy(Arc<Message>),
}
