//! A message as a host received it from SQS.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One message as received: its body, its attributes, and the receipt of its lease.
///
/// Built by the hosts from what SQS or Lambda hands them. See
/// [Message](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Message.html).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// SQS's id of the message. A redrive from a DLQ gives the same job a new one. Shared, because it is remembered longer than
    /// its message.
    pub id: Arc<str>,
    /// The receipt handle of this delivery; only the newest one of a message is valid.
    pub receipt: String,
    /// The body, at most 1 MiB.
    pub body: String,
    /// The number of receives of this message, including this one. Counts receives, not failures.
    pub receive_count: u32,
    /// The time at which the producer sent it, since the Unix epoch.
    pub sent_at: Option<Duration>,
    /// The time of its first receive, since the Unix epoch.
    pub first_received_at: Option<Duration>,
    /// FIFO: the ordering group. On a standard queue: the fair-queue tenant, without any ordering.
    pub group: Option<String>,
    /// FIFO: the id for which SQS drops duplicates for five minutes.
    pub deduplication_id: Option<String>,
    /// FIFO: the position in the queue.
    pub sequence_number: Option<String>,
    /// The id of the AWS account, user or role that sent it (`SenderId`).
    pub sender_id: Option<String>,
    /// The X-Ray header (`AWSTraceHeader`).
    pub trace_header: Option<String>,
    /// The ARN of the queue in which it died (`DeadLetterQueueSourceArn`). Only tools for dead letters request it.
    pub dead_letter_source: Option<String>,
    /// The producer's own attributes, at most ten.
    pub attributes: BTreeMap<String, Attribute>,
}

/// A message attribute: a value, and its data type as the producer wrote it, label included (`Number.int`,
/// `String.Json`, `Binary.Protobuf`). See
/// [Message attribute data types](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html).
///
/// ```
/// use drumline::message::{Attribute, AttributeValue};
/// let count = Attribute::new("Number.int", AttributeValue::Text("7".into()));
/// assert_eq!((count.as_text(), count.data_type()), (Some("7"), "Number.int"));
/// assert_eq!(Attribute::text("x").data_type(), "String");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    data_type: Cow<'static, str>,
    value: AttributeValue,
}

/// The value of a message attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// A text, or a number in its decimal notation.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Attribute {
    /// Makes an attribute of any data type. An empty data type is the value's plain one.
    pub fn new(data_type: &str, value: AttributeValue) -> Self {
        let plain = match &value {
            AttributeValue::Text(_) => "String",
            AttributeValue::Binary(_) => "Binary",
        };
        // Nearly all attributes have one of these, which need no allocation.
        let known = [plain, "Number"].into_iter().find(|known| *known == data_type);
        let data_type = match known {
            Some(known) => Cow::Borrowed(known),
            None if data_type.is_empty() => Cow::Borrowed(plain),
            None => Cow::Owned(data_type.to_owned()),
        };
        Self { data_type, value }
    }

    /// A `String` attribute.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new("String", AttributeValue::Text(text.into()))
    }

    /// A `Binary` attribute.
    pub fn binary(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new("Binary", AttributeValue::Binary(bytes.into()))
    }

    /// The data type, such as `String` or `Number.int`.
    pub fn data_type(&self) -> &str {
        &self.data_type
    }

    /// The value.
    pub fn value(&self) -> &AttributeValue {
        &self.value
    }

    /// The text of a `String` or `Number` attribute.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            AttributeValue::Text(text) => Some(text),
            AttributeValue::Binary(_) => None,
        }
    }
}

impl Message {
    /// Returns the text of the attribute called `name`. An empty text counts as absent.
    ///
    /// ```
    /// use drumline::message::{Attribute, Message};
    /// let mut message = Message::default();
    /// message.attributes.insert("messageType".into(), Attribute::text("email.send"));
    /// assert_eq!(message.attribute("messageType"), Some("email.send"));
    /// ```
    pub fn attribute(&self, name: &str) -> Option<&str> {
        text_of(&self.attributes, name)
    }
}

impl<T: Into<String>> From<T> for Attribute {
    /// A `String` attribute.
    fn from(text: T) -> Self {
        Self::text(text)
    }
}

/// Returns the text of an attribute, if it has one.
pub(crate) fn text_of<'a>(attributes: &'a BTreeMap<String, Attribute>, name: &str) -> Option<&'a str> {
    attributes.get(name).and_then(Attribute::as_text).filter(|text| !text.is_empty())
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
