//! A stored message and its states.

use std::sync::Arc;

use crate::api::MessageAttributes;
use crate::limits::MESSAGE_OVERHEAD_BYTES;
use crate::time::Timestamp;

/// One stored message. Texts are shared, so a receive copies pointers and not bodies.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: Arc<str>,
    pub(crate) body: Arc<str>,
    pub(crate) md5_of_body: Arc<str>,
    pub(crate) attributes: Arc<MessageAttributes>,
    pub(crate) md5_of_attributes: Option<Arc<str>>,
    pub(crate) trace_header: Option<Arc<str>>,
    pub(crate) group: Option<Arc<str>>,
    pub(crate) deduplication_id: Option<Arc<str>>,
    pub(crate) sequence_number: Option<Arc<str>>,
    /// The time when it was sent; retention counts from here.
    pub(crate) sent_at: Timestamp,
    pub(crate) first_received_at: Option<Timestamp>,
    pub(crate) receive_count: u32,
    /// The latest receive. All handles of earlier receives are stale.
    pub(crate) receipt: Option<Receipt>,
    /// The ARN of the queue from which the message was moved.
    pub(crate) dead_letter_source: Option<Arc<str>>,
    pub(crate) state: State,
}

impl Message {
    /// Returns the bytes charged against the endpoint's memory.
    pub(crate) fn charge(&self) -> usize {
        self.body.len() + attributes_size(&self.attributes) + MESSAGE_OVERHEAD_BYTES
    }
}

/// Returns the bytes of attribute names, types and values, which count for a message's size.
pub(crate) fn attributes_size(attributes: &MessageAttributes) -> usize {
    attributes.iter().map(|(name, value)| name.len() + value.size()).sum()
}

/// One receive of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Receipt {
    pub(crate) serial: u64,
    pub(crate) received_at: Timestamp,
}

/// The state of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Sent; cannot be received before `until`.
    Delayed { until: Timestamp },
    /// Can be received since `since`.
    Visible { since: Timestamp },
    /// Received, and invisible until `until`.
    InFlight { until: Timestamp },
}

impl State {
    /// Returns the time when a hidden message becomes visible.
    pub(crate) fn hidden_until(self) -> Option<Timestamp> {
        match self {
            Self::Delayed { until } | Self::InFlight { until } => Some(until),
            Self::Visible { .. } => None,
        }
    }
}
