//! What SQS stores, as a host received it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One message as received: its body, its attributes, and the receipt that makes it ours for a while.
///
/// Built by the hosts from what SQS or Lambda hands them. See
/// [Message](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Message.html).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// SQS's id of the message. A redrive from a DLQ gives the same job a new one. Shared, because it is remembered longer
    /// than its message.
    pub id: Arc<str>,
    /// The receipt handle of this delivery; the newest one of a message is the one that counts.
    pub receipt: String,
    /// The body, at most 1 MiB.
    pub body: String,
    /// How often the message has been received, this time included. Counts receives, not failures.
    pub receive_count: u32,
    /// When the producer sent it, since the Unix epoch.
    pub sent_at: Option<Duration>,
    /// When it was received for the first time, since the Unix epoch.
    pub first_received_at: Option<Duration>,
    /// FIFO: the ordering group. On a standard queue: the fair-queue tenant, without any ordering.
    pub group: Option<String>,
    /// FIFO: the id within which SQS drops duplicates for five minutes.
    pub deduplication_id: Option<String>,
    /// FIFO: the position in the queue.
    pub sequence_number: Option<String>,
    /// The X-Ray header (`AWSTraceHeader`).
    pub trace_header: Option<String>,
    /// The producer's own attributes, at most ten.
    pub attributes: BTreeMap<String, Attribute>,
}

/// A message attribute's value. The type suffix (`String.json`) is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// A text, or a number in its decimal notation.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Attribute {
    /// The text of a `String` or `Number` attribute.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }
}

impl Message {
    /// The text of the attribute called `name`, where there is one.
    ///
    /// ```
    /// use drumline::{Attribute, Message};
    /// let mut message = Message::default();
    /// message.attributes.insert("messageType".into(), Attribute::Text("email.send".into()));
    /// assert_eq!(message.attribute("messageType"), Some("email.send"));
    /// ```
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).and_then(Attribute::as_text)
    }
}

/// Bodies, receipts and attribute values stay out of logs, so they stay out of `Debug` too.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("body_bytes", &self.body.len())
            .field("receive_count", &self.receive_count)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}
