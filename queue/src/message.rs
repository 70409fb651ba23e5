//! A message as it is stored, and the states it goes through.

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
    /// When it was sent; retention counts from here.
    pub(crate) sent_at: Timestamp,
    pub(crate) first_received_at: Option<Timestamp>,
    pub(crate) receive_count: u32,
    /// The latest receive; its handle is the only one that is not stale.
    pub(crate) receipt: Option<Receipt>,
    /// The ARN of the queue that gave the message up.
    pub(crate) dead_letter_source: Option<Arc<str>>,
    pub(crate) state: State,
}

impl Message {
    /// What the message is charged against the endpoint's memory.
    pub(crate) fn charge(&self) -> usize {
        self.body.len() + attributes_size(&self.attributes) + MESSAGE_OVERHEAD_BYTES
    }
}

/// Bytes of attribute names, types and values, which count for a message's size.
pub(crate) fn attributes_size(attributes: &MessageAttributes) -> usize {
    attributes.iter().map(|(name, value)| name.len() + value.size()).sum()
}

/// One receive of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Receipt {
    pub(crate) serial: u64,
    pub(crate) received_at: Timestamp,
}

/// Where a message is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Sent, not to be received before `until`.
    Delayed { until: Timestamp },
    /// Can be received; became so at `since`.
    Visible { since: Timestamp },
    /// Received, and invisible until `until`.
    InFlight { until: Timestamp },
}

impl State {
    /// When a hidden message becomes visible.
    pub(crate) fn hidden_until(self) -> Option<Timestamp> {
        match self {
            Self::Delayed { until } | Self::InFlight { until } => Some(until),
            Self::Visible { .. } => None,
        }
    }
}
