//! The requests that a host sends to SQS, and their results.

use std::sync::Arc;
use std::time::Duration;

use crate::core::ids::{CallId, DeliveryId};
use crate::message::sqs_message::Message;

/// SQS takes at most ten entries a batch. See
/// [Batch actions](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-batch-api-actions.html).
pub const MAX_BATCH: usize = 10;

/// One request to SQS, as data. The host carries it out unchanged, and answers with [`Replies`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The id of the answer.
    pub id: CallId,
    /// The request.
    pub action: Action,
}

/// The request of a call.
///
/// A host must make each, so it matches them without a wildcard, and a new variant deliberately breaks its build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `DeleteMessageBatch` of these, 1 to 10.
    Delete(Vec<Entry>),
    /// `ChangeMessageVisibilityBatch` of these, 1 to 10.
    ChangeVisibility(Vec<VisibilityEntry>),
    /// `SendMessage` of a copy of this message to the DLQ, with the reason as attributes.
    DeadLetter {
        /// The delivery it is about.
        delivery: DeliveryId,
        /// The message to copy.
        message: Arc<Message>,
        /// The reason, at most 1 KiB.
        reason: String,
    },
}

/// One message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The delivery it is about.
    pub delivery: DeliveryId,
    /// The newest receipt handle.
    pub receipt: String,
}

/// One message of a batch that changes visibilities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisibilityEntry {
    /// The delivery it is about.
    pub delivery: DeliveryId,
    /// The newest receipt handle.
    pub receipt: String,
    /// From now, in whole seconds; within what SQS still allows for this message.
    pub visibility_secs: u32,
}

/// One result per entry, in the order of the entries. A missing result counts as a transient failure.
pub type Replies = Vec<Result<(), CallError>>;

/// The failure of an entry of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// The receipt handle is no longer valid: the message is visible again, received elsewhere, or deleted.
    Gone(String),
    /// A missing permission. A refused change of the visibility is not repeated, and the message is redelivered when its lease
    /// ends. Other calls are retried as if they had failed.
    Refused(String),
    /// Any other error, such as throttling or the network. The call is retried while the lease lasts.
    Failed(String),
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gone(why) => write!(f, "the receipt handle is no longer valid: {why}"),
            Self::Refused(why) | Self::Failed(why) => f.write_str(why),
        }
    }
}

impl Action {
    /// The deliveries it is about, in the order of its results.
    pub fn deliveries(&self) -> Vec<DeliveryId> {
        match self {
            Self::Delete(entries) => entries.iter().map(|entry| entry.delivery).collect(),
            Self::ChangeVisibility(entries) => entries.iter().map(|entry| entry.delivery).collect(),
            Self::DeadLetter { delivery, .. } => vec![*delivery],
        }
    }
}

/// The visibility in whole seconds, as SQS counts: rounded up, so that no message is redelivered too early.
pub(crate) fn visibility_secs(visibility: Duration) -> u32 {
    let secs = visibility.as_secs() + u64::from(visibility.subsec_nanos() > 0);
    u32::try_from(secs).unwrap_or(u32::MAX)
}
