//! The answers of SQS, cut out of the bytes of the response.
//!
//! A receive is decoded in one pass into messages as handlers have them. Only if that fails, each message is decoded by itself, so that one
//! that this client cannot read does not cost its neighbours.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use drumline::message::{Attribute, AttributeValue, Message};
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What a receive has brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The messages.
    pub messages: Vec<Message>,
    /// The messages that could not be decoded. They stay hidden for their visibility timeout, and are delivered again.
    pub undecodable: Vec<Undecodable>,
}

/// A message that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// Its id, if that could be read.
    pub message_id: Option<String>,
    /// The reason, without any of its content.
    pub reason: String,
}

/// The answer to a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct BatchAnswer {
    /// The entries that were carried out.
    pub successful: Vec<SentEntry>,
    /// The entries that were not.
    pub failed: Vec<FailedEntry>,
}

/// An entry that was carried out.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SentEntry {
    /// The position of the entry, in decimal.
    pub id: String,
    /// The id of a sent message.
    pub message_id: Option<String>,
    /// The sequence number of a message sent to a FIFO queue.
    pub sequence_number: Option<String>,
}

/// An entry that was not carried out.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FailedEntry {
    /// The position of the entry, in decimal.
    pub id: String,
    /// The code of the error.
    pub code: String,
    /// The message of the error.
    pub message: Option<String>,
    /// The request is at fault, so that it would fail again.
    pub sender_fault: bool,
}

/// Decodes what a receive has brought. `None` if the answer is none of a receive.
pub(crate) fn received(body: &[u8]) -> Option<Received> {
    // Once for all texts.
    let body = std::str::from_utf8(body).ok()?;
    if let Ok(Messages { messages }) = serde_json::from_str(body) {
        let messages = messages.unwrap_or_default().into_iter().map(|Shape(message)| message).collect();
        return Some(Received { messages, undecodable: Vec::new() });
    }
    let RawMessages { messages } = serde_json::from_str(body).ok()?;
    let mut received = Received::default();
    for raw in messages.unwrap_or_default() {
        match serde_json::from_str::<Shape>(raw.get()) {
            Ok(Shape(message)) => received.messages.push(message),
            Err(error) => {
                // The error's own text may quote the message.
                let reason =
                    format!("column {} of the message: {:?} error", error.column(), error.classify());
                let message_id = serde_json::from_str::<OnlyId>(raw.get()).ok().and_then(|only| only.id);
                received.undecodable.push(Undecodable { message_id, reason });
            }
        }
    }
    Some(received)
}

/// Decodes the answer to a batch. `None` if it is none.
pub(crate) fn batch(body: &[u8]) -> Option<BatchAnswer> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "Successful")]
        successful: Option<Vec<SentEntry>>,
        #[serde(rename = "Failed")]
        failed: Option<Vec<FailedEntry>>,
    }
    let Answer { successful, failed } = serde_json::from_slice(body).ok()?;
    Some(BatchAnswer { successful: successful.unwrap_or_default(), failed: failed.unwrap_or_default() })
}

/// The code and the message of an error's body.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ErrorBody {
    #[serde(rename = "__type")]
    pub(crate) code: Option<String>,
    #[serde(alias = "Message")]
    pub(crate) message: Option<String>,
}

#[derive(Deserialize)]
struct Messages {
    #[serde(rename = "Messages")]
    messages: Option<Vec<Shape>>,
}

#[derive(Deserialize)]
struct RawMessages<'a> {
    #[serde(rename = "Messages", borrow)]
    messages: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct OnlyId {
    #[serde(rename = "MessageId")]
    id: Option<String>,
}

/// A message as SQS writes it.
struct Shape(Message);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
                let mut message = Message::default();
                while let Some(Borrowed(key)) = map.next_key()? {
                    match &*key {
                        "MessageId" => {
                            if let Some(Borrowed(id)) = map.next_value::<Option<Borrowed<'_>>>()? {
                                message.id = (*id).into();
                            }
                        }
                        "ReceiptHandle" => {
                            message.receipt = map.next_value::<Option<_>>()?.unwrap_or_default()
                        }
                        "Body" => message.body = map.next_value::<Option<_>>()?.unwrap_or_default(),
                        "Attributes" => system_attributes(&mut message, map.next_value()?),
                        "MessageAttributes" => {
                            let attributes: Option<BTreeMap<String, AttributeShape<'_>>> =
                                map.next_value()?;
                            message.attributes = attributes
                                .unwrap_or_default()
                                .into_iter()
                                .map(|(name, attribute)| Ok((name, attribute.attribute()?)))
                                .collect::<Result<_, &str>>()
                                .map_err(de::Error::custom)?;
                        }
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Shape(message))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// A text that is borrowed from the answer unless it has escapes.
struct Borrowed<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Borrowed<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Borrowed<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Borrowed<'de>, E> {
                Ok(Borrowed(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Borrowed<'de>, E> {
                Ok(Borrowed(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// The system attributes, in the order in which SQS has written them.
struct SystemAttributes<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for SystemAttributes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = SystemAttributes<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("system attributes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SystemAttributes<'de>, A::Error> {
                let mut entries = Vec::with_capacity(8);
                while let Some(Borrowed(name)) = map.next_key()? {
                    if let Some(Borrowed(value)) = map.next_value::<Option<Borrowed<'_>>>()? {
                        entries.push((name, value));
                    }
                }
                Ok(SystemAttributes(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

fn system_attributes(message: &mut Message, attributes: Option<SystemAttributes<'_>>) {
    let millis = |text: &str| text.parse().ok().map(Duration::from_millis);
    for (name, value) in attributes.into_iter().flat_map(|SystemAttributes(entries)| entries) {
        match &*name {
            // A count too large to read is a large one, never none.
            "ApproximateReceiveCount" => message.receive_count = value.parse().unwrap_or(u32::MAX),
            "SentTimestamp" => message.sent_at = millis(&value),
            "ApproximateFirstReceiveTimestamp" => message.first_received_at = millis(&value),
            "MessageGroupId" => message.group = Some(value.into_owned()),
            "MessageDeduplicationId" => message.deduplication_id = Some(value.into_owned()),
            "SequenceNumber" => message.sequence_number = Some(value.into_owned()),
            "SenderId" => message.sender_id = Some(value.into_owned()),
            "AWSTraceHeader" => message.trace_header = Some(value.into_owned()),
            "DeadLetterQueueSourceArn" => message.dead_letter_source = Some(value.into_owned()),
            _ => {}
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeShape<'a> {
    string_value: Option<String>,
    #[serde(borrow)]
    binary_value: Option<Borrowed<'a>>,
    #[serde(borrow)]
    data_type: Option<Borrowed<'a>>,
}

impl AttributeShape<'_> {
    fn attribute(self) -> Result<Attribute, &'static str> {
        let value = match self.binary_value {
            Some(Borrowed(text)) => AttributeValue::Binary(
                aws_smithy_types::base64::decode(&*text).map_err(|_| "a binary attribute is not base64")?,
            ),
            None => AttributeValue::Text(self.string_value.unwrap_or_default()),
        };
        Ok(Attribute::new(self.data_type.as_ref().map_or("", |Borrowed(text)| text), value))
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
