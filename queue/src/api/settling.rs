//! Deleting messages and changing their visibility.

use serde::{Deserialize, Serialize};

use super::messages::BatchErrorEntry;

/// [DeleteMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeleteMessage {
    /// The queue's URL, or just its name.
    pub queue_url: String,
    /// The handle of the receive.
    pub receipt_handle: String,
}

/// [DeleteMessageBatch](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeleteMessageBatch {
    /// The queue's URL, or just its name.
    pub queue_url: String,
    /// 1 to 10 handles.
    pub entries: Vec<DeleteMessageBatchEntry>,
}

/// One handle of a [`DeleteMessageBatch`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeleteMessageBatchEntry {
    /// Names the entry in the reply.
    pub id: String,
    /// The handle of the receive.
    pub receipt_handle: String,
}

/// [ChangeMessageVisibility](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ChangeMessageVisibility {
    /// The queue's URL, or just its name.
    pub queue_url: String,
    /// The handle of the receive.
    pub receipt_handle: String,
    /// Seconds from now until the message is visible again, 0 to 43,200; within 12 hours of the receive in all.
    pub visibility_timeout: Option<i64>,
}

/// [ChangeMessageVisibilityBatch](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ChangeMessageVisibilityBatch {
    /// The queue's URL, or just its name.
    pub queue_url: String,
    /// 1 to 10 handles.
    pub entries: Vec<ChangeMessageVisibilityBatchEntry>,
}

/// One handle of a [`ChangeMessageVisibilityBatch`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ChangeMessageVisibilityBatchEntry {
    /// Names the entry in the reply.
    pub id: String,
    /// The handle of the receive.
    pub receipt_handle: String,
    /// Seconds from now until the message is visible again.
    pub visibility_timeout: Option<i64>,
}

/// The reply to both batches: every entry is in exactly one of the lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SettledBatchReply {
    /// Entries that succeeded.
    #[serde(default)]
    pub successful: Vec<SettledBatchEntry>,
    /// Entries that were refused.
    #[serde(default)]
    pub failed: Vec<BatchErrorEntry>,
}

/// An entry that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SettledBatchEntry {
    /// The entry's id.
    pub id: String,
}
