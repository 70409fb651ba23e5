//! Reads a queue without changing it, for tools and tests. SQS itself has no such operation.

use std::sync::Arc;

use super::machine::Sqs;
use crate::api::MessageAttributes;
use crate::error::SqsError;
use crate::message::{Message, State};
use crate::time::Timestamp;

/// A message in its queue.
#[derive(Debug, Clone)]
pub struct PeekedMessage {
    /// The message's id.
    pub message_id: Arc<str>,
    /// The message's body.
    pub body: Arc<str>,
    /// The sender's attributes.
    pub attributes: Arc<MessageAttributes>,
    /// The FIFO group, or the fair queue's tenant.
    pub message_group_id: Option<Arc<str>>,
    /// FIFO: the deduplication id.
    pub deduplication_id: Option<Arc<str>>,
    /// FIFO: the position in the queue's order.
    pub sequence_number: Option<Arc<str>>,
    /// The time when the message was sent.
    pub sent_at: Timestamp,
    /// The time when it was first received, if it was received.
    pub first_received_at: Option<Timestamp>,
    /// The number of receives.
    pub receive_count: u32,
    /// In a dead-letter queue: the ARN of the queue from which the message was moved.
    pub dead_letter_source_arn: Option<Arc<str>>,
    /// Visible, delayed or in flight.
    pub state: MessageState,
}

/// The state of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageState {
    /// Can be received.
    Visible,
    /// Sent; cannot be received before `until`.
    Delayed {
        /// The time when it becomes visible.
        until: Timestamp,
    },
    /// Received, and invisible until `until`.
    InFlight {
        /// The time when it becomes visible again.
        until: Timestamp,
    },
}

impl Sqs {
    /// Returns all messages of a queue in their order of arrival. It is not a receive and changes nothing.
    ///
    /// # Errors
    ///
    /// `QueueDoesNotExist`.
    pub fn peek(&mut self, now: Timestamp, queue_url: &str) -> Result<Vec<PeekedMessage>, SqsError> {
        let queue = self.queue_at(now, queue_url)?;
        Ok(queue.store.in_order().into_iter().map(PeekedMessage::of).collect())
    }
}

impl PeekedMessage {
    fn of(message: &Message) -> Self {
        Self {
            message_id: Arc::clone(&message.id),
            body: Arc::clone(&message.body),
            attributes: Arc::clone(&message.attributes),
            message_group_id: message.group.clone(),
            deduplication_id: message.deduplication_id.clone(),
            sequence_number: message.sequence_number.clone(),
            sent_at: message.sent_at,
            first_received_at: message.first_received_at,
            receive_count: message.receive_count,
            dead_letter_source_arn: message.dead_letter_source.clone(),
            state: match message.state {
                State::Visible { .. } => MessageState::Visible,
                State::Delayed { until } => MessageState::Delayed { until },
                State::InFlight { until } => MessageState::InFlight { until },
            },
        }
    }
}
