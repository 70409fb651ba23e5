//! Bodies that must be opened before they can be decoded: payloads in S3, and compressed ones.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::Value;

use crate::message::aws_events;
use crate::message::invalid_payload::InvalidPayload;
use crate::message::payload_pointer::PayloadPointer;
use crate::message::sqs_message::{Attribute, AttributeValue, Message, text_of};

/// The attribute that marks a body as a [`PayloadPointer`]. Its value is the size of the payload, in bytes of UTF-8.
pub const PAYLOAD_SIZE_ATTRIBUTE: &str = "ExtendedPayloadSize";

/// The same attribute of older Extended Clients, which is still the default of the Java client.
pub const LEGACY_PAYLOAD_SIZE_ATTRIBUTE: &str = "SQSLargePayloadSize";

/// The attribute that names the compression of a body, which is then base64.
pub const CONTENT_ENCODING_ATTRIBUTE: &str = "contentEncoding";

/// The attributes that mark a body as a pointer.
const MARKERS: [&str; 2] = [PAYLOAD_SIZE_ATTRIBUTE, LEGACY_PAYLOAD_SIZE_ATTRIBUTE];

/// Finds the key that identifies an SNS notification without reading it. Every body is searched.
static TOPIC: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"TopicArn\""));

/// A compression of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentEncoding {
    /// `gzip`.
    Gzip,
    /// `zstd`.
    Zstd,
}

impl ContentEncoding {
    /// All encodings.
    pub const ALL: [Self; 2] = [Self::Gzip, Self::Zstd];

    /// The value of the attribute `contentEncoding`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Returns the encoding with this name. Other values of the attribute belong to the producer.
    pub fn of(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.label().eq_ignore_ascii_case(label))
    }
}

/// The form of a body that must be opened: it is stored in S3, or compressed, or both.
///
/// ```
/// use drumline::message::{Attribute, ContentEncoding, EncodedBody, Message};
///
/// let mut message = Message { body: "H4sI…".into(), ..Message::default() };
/// assert_eq!(EncodedBody::of(&message)?, None);
/// message.attributes.insert("contentEncoding".into(), Attribute::text("gzip"));
/// let encoded = EncodedBody::of(&message)?.expect("it is compressed");
/// assert_eq!(encoded.encoding, Some(ContentEncoding::Gzip));
/// let opened = encoded.open(&message, r#"{"type":"a","payload":{}}"#.into());
/// assert!(opened.attributes.is_empty());
/// # Ok::<(), drumline::message::InvalidPayload>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedBody {
    /// The object that has the body.
    pub pointer: Option<PayloadPointer>,
    /// The size of that object, if its attribute says so.
    pub size: Option<u64>,
    /// The compression of the body.
    pub encoding: Option<ContentEncoding>,
    /// The text of an SNS notification that is encoded, if it is not the body itself.
    wrapped: Option<String>,
}

impl EncodedBody {
    /// Returns the form of a message's body, or of the SNS notification in it; `None` if it can be decoded directly. The usual
    /// message costs a check of its attributes, and a search for the name of a field.
    ///
    /// # Errors
    /// If the body says that it is a pointer, but names no object.
    pub fn of(message: &Message) -> Result<Option<Self>, InvalidPayload> {
        if let Some(encoded) = Self::by(&message.attributes, &message.body)? {
            return Ok(Some(encoded));
        }
        let body = &message.body;
        let may_be_wrapped = body.trim_ascii_start().starts_with('{')
            && TOPIC.find(body.as_bytes()).is_some()
            && [MARKERS[0], MARKERS[1], CONTENT_ENCODING_ATTRIBUTE].iter().any(|name| body.contains(name));
        if !may_be_wrapped {
            return Ok(None);
        }
        let Ok(notification) = aws_events::sns("Notification", body) else { return Ok(None) };
        let encoded = Self::by(&notification.attributes, &notification.message)?;
        Ok(encoded.map(|encoded| Self { wrapped: Some(notification.message), ..encoded }))
    }

    fn by(attributes: &BTreeMap<String, Attribute>, body: &str) -> Result<Option<Self>, InvalidPayload> {
        if attributes.is_empty() {
            return Ok(None);
        }
        let encoding = text_of(attributes, CONTENT_ENCODING_ATTRIBUTE).and_then(ContentEncoding::of);
        let marker = MARKERS.into_iter().find(|name| attributes.contains_key(*name));
        let pointer = if marker.is_some() { PayloadPointer::parse(body)? } else { None };
        if pointer.is_none() && encoding.is_none() {
            return Ok(None);
        }
        let size = marker.and_then(|name| text_of(attributes, name)).and_then(|size| size.parse().ok());
        Ok(Some(Self { size: size.filter(|_| pointer.is_some()), pointer, encoding, wrapped: None }))
    }

    /// Returns the encoded text in `message`: its body, or the text in its SNS notification.
    pub fn text<'a>(&'a self, message: &'a Message) -> &'a str {
        self.wrapped.as_deref().unwrap_or(&message.body)
    }

    /// Returns the message with its decoded text, and without the attributes that describe the encoding.
    pub fn open(&self, message: &Message, text: String) -> Message {
        let body = if self.wrapped.is_some() { self.renotified(&message.body, text) } else { text };
        let mut attributes = message.attributes.clone();
        if self.wrapped.is_none() {
            attributes.retain(|name, _| !self.describes(name));
        }
        // Not cloned as a whole, because its body may be as large as SQS allows.
        Message {
            id: message.id.clone(),
            receipt: message.receipt.clone(),
            body,
            receive_count: message.receive_count,
            sent_at: message.sent_at,
            first_received_at: message.first_received_at,
            group: message.group.clone(),
            deduplication_id: message.deduplication_id.clone(),
            sequence_number: message.sequence_number.clone(),
            sender_id: message.sender_id.clone(),
            trace_header: message.trace_header.clone(),
            dead_letter_source: message.dead_letter_source.clone(),
            attributes,
        }
    }

    /// Returns true for an attribute that describes how the body was encoded.
    fn describes(&self, name: &str) -> bool {
        (self.pointer.is_some() && MARKERS.contains(&name))
            || (self.encoding.is_some() && name == CONTENT_ENCODING_ATTRIBUTE)
    }

    /// Returns the notification with another text. Its fields are texts, so reading them changes nothing.
    fn renotified(&self, notification: &str, text: String) -> String {
        let Ok(Value::Object(mut fields)) = serde_json::from_str(notification) else { return text };
        fields.insert("Message".to_owned(), Value::String(text));
        if let Some(Value::Object(attributes)) = fields.get_mut("MessageAttributes") {
            attributes.retain(|name, _| !self.describes(name));
        }
        Value::Object(fields).to_string()
    }
}

/// Returns the attribute that marks a body as a pointer to a payload with this number of bytes.
pub fn payload_size_attribute(bytes: usize) -> Attribute {
    Attribute::new("Number", AttributeValue::Text(bytes.to_string()))
}

#[cfg(test)]
#[path = "encoded_body_tests.rs"]
mod tests;
