//! Receiving messages.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::attribute::MessageAttributes;
use crate::time::Timestamp;

/// [ReceiveMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ReceiveMessage {
    /// The queue's URL, or just its name.
    pub queue_url: String,
    /// The older name of `message_system_attribute_names`; both are honoured.
    pub attribute_names: Vec<String>,
    /// System attributes to return, or `All`.
    pub message_system_attribute_names: Vec<String>,
    /// User attributes to return: names, prefixes such as `trace.*`, or `All`.
    pub message_attribute_names: Vec<String>,
    /// At most this many messages, 1 to 10; 1 when absent.
    pub max_number_of_messages: Option<i64>,
    /// Seconds the messages stay invisible, 0 to 43,200; the queue's own when absent.
    pub visibility_timeout: Option<i64>,
    /// Seconds to wait for a message, 0 to 20; the queue's own when absent.
    pub wait_time_seconds: Option<i64>,
    /// FIFO only. Accepted and ignored: a repeated attempt is a new receive.
    pub receive_request_attempt_id: Option<String>,
}

/// The reply to [`ReceiveMessage`].
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReceiveMessageReply {
    /// The messages; empty if none arrived in time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<ReceivedMessage>,
}

/// One received message.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReceivedMessage {
    /// The message's id.
    pub message_id: Arc<str>,
    /// Identifies this receive; needed to delete the message or to change its visibility.
    pub receipt_handle: String,
    /// MD5 of the body.
    #[serde(rename = "MD5OfBody")]
    pub md5_of_body: Arc<str>,
    /// The message's body.
    pub body: Arc<str>,
    /// The requested system attributes.
    #[serde(skip_serializing_if = "SystemAttributes::is_empty")]
    pub attributes: SystemAttributes,
    /// MD5 of the user attributes returned.
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    pub md5_of_message_attributes: Option<Arc<str>>,
    /// The requested user attributes.
    #[serde(skip_serializing_if = "no_attributes")]
    pub message_attributes: Arc<MessageAttributes>,
}

/// SQS's own attributes of a message. A field is `None` if it was not requested or does not apply.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SystemAttributes {
    /// The sender of the message; here the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_id: Option<Arc<str>>,
    /// The time when the message was sent.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "millis_text")]
    pub sent_timestamp: Option<Timestamp>,
    /// The number of receives of the message, including this one.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "count_text")]
    pub approximate_receive_count: Option<u32>,
    /// The time when the message was first received.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "millis_text")]
    pub approximate_first_receive_timestamp: Option<Timestamp>,
    /// The message's group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_group_id: Option<Arc<str>>,
    /// FIFO: the deduplication id, set by the sender or derived from the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_deduplication_id: Option<Arc<str>>,
    /// FIFO: the position in the queue's order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<Arc<str>>,
    /// The X-Ray trace header the sender set.
    #[serde(rename = "AWSTraceHeader", skip_serializing_if = "Option::is_none")]
    pub aws_trace_header: Option<Arc<str>>,
    /// In a dead-letter queue: the ARN of the queue from which the message was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter_queue_source_arn: Option<Arc<str>>,
}

impl SystemAttributes {
    /// Returns true if there are no attributes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

// Serde passes a reference to the field.
#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref)]
fn millis_text<S: Serializer>(value: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&value.unwrap_or_default().as_millis())
}

#[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref)]
fn count_text<S: Serializer>(value: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&value.unwrap_or_default())
}

fn no_attributes(attributes: &Arc<MessageAttributes>) -> bool {
    attributes.is_empty()
}
