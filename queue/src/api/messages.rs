//! Sending messages.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::attribute::MessageAttributes;

/// [SendMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SendMessage {
    /// The queue's URL, or just its name.
    pub queue_url: String,
    /// 1 to 1,048,576 bytes of the characters XML 1.0 allows, attributes included.
    pub message_body: String,
    /// Seconds until the message can be received, 0 to 900; the queue's own delay when absent. Not on FIFO queues.
    pub delay_seconds: Option<i64>,
    /// Up to ten attributes that the sender sets.
    pub message_attributes: MessageAttributes,
    /// Only `AWSTraceHeader`, a String.
    pub message_system_attributes: MessageAttributes,
    /// FIFO only: a second message with this id within five minutes is accepted and dropped.
    pub message_deduplication_id: Option<String>,
    /// FIFO: the group whose order is kept (required). Standard: the tenant of a fair queue (optional).
    pub message_group_id: Option<String>,
}

/// The reply to [`SendMessage`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SendMessageReply {
    /// The message's id; for a duplicate, the id of the message it repeats.
    pub message_id: Arc<str>,
    /// MD5 of the body, in lower-case hexadecimal.
    #[serde(rename = "MD5OfMessageBody")]
    pub md5_of_message_body: Arc<str>,
    /// MD5 of the user attributes, when there are any.
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    pub md5_of_message_attributes: Option<Arc<str>>,
    /// MD5 of the system attributes, when there are any.
    #[serde(rename = "MD5OfMessageSystemAttributes", skip_serializing_if = "Option::is_none")]
    pub md5_of_message_system_attributes: Option<Arc<str>>,
    /// FIFO only: 20 digits that grow with every message of the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<Arc<str>>,
}

/// [SendMessageBatch](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SendMessageBatch {
    /// The queue's URL, or just its name.
    pub queue_url: String,
    /// 1 to 10 messages, 1,048,576 bytes in all.
    pub entries: Vec<SendMessageBatchEntry>,
}

/// One message of a [`SendMessageBatch`]; see [`SendMessage`] for the fields.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[allow(missing_docs)]
pub struct SendMessageBatchEntry {
    /// Names the entry in the reply: up to 80 letters, digits, hyphens and underscores, distinct within the batch.
    pub id: String,
    pub message_body: String,
    pub delay_seconds: Option<i64>,
    pub message_attributes: MessageAttributes,
    pub message_system_attributes: MessageAttributes,
    pub message_deduplication_id: Option<String>,
    pub message_group_id: Option<String>,
}

/// The reply to [`SendMessageBatch`]: every entry is in exactly one of the lists.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SendMessageBatchReply {
    /// Entries that are in the queue.
    #[serde(default)]
    pub successful: Vec<SentBatchEntry>,
    /// Entries that were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<BatchErrorEntry>,
}

/// A sent entry of a batch; see [`SendMessageReply`] for the fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[allow(missing_docs)]
pub struct SentBatchEntry {
    pub id: String,
    pub message_id: Arc<str>,
    #[serde(rename = "MD5OfMessageBody")]
    pub md5_of_message_body: Arc<str>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    pub md5_of_message_attributes: Option<Arc<str>>,
    #[serde(rename = "MD5OfMessageSystemAttributes", skip_serializing_if = "Option::is_none")]
    pub md5_of_message_system_attributes: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<Arc<str>>,
}

/// A refused entry of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BatchErrorEntry {
    /// The entry's id.
    pub id: String,
    /// True if the sender caused the error, so that a retry cannot help.
    pub sender_fault: bool,
    /// The error's bare name, such as `InvalidParameterValue`.
    pub code: String,
    /// The explanation for people.
    pub message: String,
}
