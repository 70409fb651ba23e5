//! The decoder of SQS's answers, which cuts values out of the bytes of the response.
//!
//! An answer is decoded in one pass, directly into the types that callers get: by `usual.rs`, or by `serde_json` if the answer
//! is unusual. Only if both fail is each of its entries decoded separately, so that one unreadable entry does not affect the others.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use drumline::message::{Attribute, AttributeValue, Message};
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::answer::{BatchAnswer, FailedEntry, MAX_ENTRIES, Received, SentEntry, Undecodable};
use crate::usual;

/// Decodes the answer to a receive. Returns `None` if it is no answer to a receive.
pub(crate) fn received(body: &[u8]) -> Option<Received> {
    let text = utf8(body);
    if let Some(messages) = usual::messages(&text).or_else(|| any_json(&text)) {
        return Some(Received { messages, undecodable: Vec::new() });
    }
    let RawMessages { messages } = raw(&text)?;
    let mut received = Received::default();
    for raw in messages.unwrap_or_default() {
        let mut message = Message::default();
        match object(raw.get(), &mut message) {
            Ok(()) => received.messages.push(message),
            Err(error) => {
                // The error's text may quote the message.
                let reason =
                    format!("column {} of the message: {:?} error", error.column(), error.classify());
                let message_id = serde_json::from_str::<OnlyId>(raw.get()).ok().and_then(|only| only.id);
                received.undecodable.push(Undecodable { message_id, reason });
            }
        }
    }
    Some(received)
}

/// Decodes the answer to a batch. Returns `None` if it is no answer to a batch.
pub(crate) fn batch(body: &[u8]) -> Option<BatchAnswer> {
    let text = utf8(body);
    if let Some(answer) = usual::batch(&text).or_else(|| any_json(&text)) {
        return Some(answer);
    }
    let RawLists { successful, failed } = raw(&text)?;
    Some(BatchAnswer { successful: decodable(successful), failed: decodable(failed) })
}

/// Returns the code and the message in an error's body.
pub(crate) fn error(body: &[u8]) -> (Option<String>, Option<String>) {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body).unwrap_or_default();
    let text = |names: &[&str]| {
        let texts = names.iter().find_map(|name| fields.get(*name)?.as_str());
        texts.map(str::to_owned)
    };
    (text(&["code", "__type"]), text(&["message", "Message", "errorMessage"]))
}

/// Returns an answer as text. Invalid UTF-8 is replaced by an escape without a meaning, so that only the entry that contains it
/// cannot be decoded.
fn utf8(body: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(body) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(body.len() + 16);
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            // The hyphen prevents a backslash before it from forming another escape.
            text.push_str(r"-\ud800");
        }
    }
    Cow::Owned(text)
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

/// The two lists of the answer to a batch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawLists<'a> {
    #[serde(borrow)]
    successful: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    failed: Option<Vec<&'a RawValue>>,
}

/// Splits an answer into its entries.
fn raw<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    // serde also accepts a list of the fields' values for a struct.
    if text.trim_start().starts_with('{') { serde_json::from_str(text).ok() } else { None }
}

/// Returns the entries that can be decoded.
fn decodable<T: Fill + Default>(entries: Option<Vec<&RawValue>>) -> Vec<T> {
    entries.unwrap_or_default().into_iter().filter_map(|raw| any_json(raw.get())).collect()
}

/// Decodes an object with `serde_json`.
pub(crate) fn any_json<T: Fill + Default>(text: &str) -> Option<T> {
    let mut value = T::default();
    object(text, &mut value).ok().map(|()| value)
}

/// Fills a value from a JSON object.
fn object<T: Fill>(text: &str, value: &mut T) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Object(value).deserialize(&mut deserializer)?;
    deserializer.end()
}

/// A value that is filled in place from the fields of a JSON object, because a message is large to move.
pub(crate) trait Fill {
    /// Reads the field of this name.
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

/// Reads a JSON object into a value.
struct Object<'v, T>(&'v mut T);

impl<'de, T: Fill> DeserializeSeed<'de> for Object<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Fill> Visitor<'de> for Object<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Borrowed(name)) = map.next_key()? {
            self.0.field(&name, &mut map)?;
        }
        Ok(())
    }
}

/// Reads a value that may be `null`, which means absent. Returns true if it is not `null`.
struct OrNull<S>(S);

impl<'de, S: DeserializeSeed<'de, Value = ()>> DeserializeSeed<'de> for OrNull<S> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de, Value = ()>> Visitor<'de> for OrNull<S> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E: de::Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E: de::Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        self.0.deserialize(deserializer).map(|()| true)
    }
}

/// Reads a list of objects.
struct List<'v, T>(&'v mut Vec<T>);

impl<'de, T: Fill + Default> DeserializeSeed<'de> for List<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Fill + Default> Visitor<'de> for List<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.0.reserve_exact(MAX_ENTRIES + 1);
        loop {
            let index = self.0.len();
            self.0.push(T::default());
            if list.next_element_seed(Object(&mut self.0[index]))?.is_none() {
                self.0.pop();
                return Ok(());
            }
        }
    }
}

impl Fill for BatchAnswer {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "Successful" => map.next_value_seed(OrNull(List(&mut self.successful))).map(drop),
            "Failed" => map.next_value_seed(OrNull(List(&mut self.failed))).map(drop),
            _ => ignore(map),
        }
    }
}

impl Fill for SentEntry {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "Id" => self.id = or_default(map)?,
            "MessageId" => self.message_id = map.next_value()?,
            "SequenceNumber" => self.sequence_number = map.next_value()?,
            _ => ignore(map)?,
        }
        Ok(())
    }
}

impl Fill for FailedEntry {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "Id" => self.id = or_default(map)?,
            "Code" => self.code = or_default(map)?,
            "Message" => self.message = map.next_value()?,
            "SenderFault" => self.sender_fault = or_default(map)?,
            _ => ignore(map)?,
        }
        Ok(())
    }
}

/// The messages of a receive.
impl Fill for Vec<Message> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "Messages" => map.next_value_seed(OrNull(List(self))).map(drop),
            _ => ignore(map),
        }
    }
}

impl Fill for Message {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "MessageId" => {
                let id = map.next_value::<Option<Borrowed<'_>>>()?;
                self.id = id.map(|Borrowed(id)| (*id).into()).unwrap_or_default();
            }
            "ReceiptHandle" => self.receipt = or_default(map)?,
            "Body" => self.body = or_default(map)?,
            "Attributes" => map.next_value_seed(OrNull(Object(&mut System(self)))).map(drop)?,
            "MessageAttributes" => map.next_value_seed(OrNull(Object(&mut self.attributes))).map(drop)?,
            _ => ignore(map)?,
        }
        Ok(())
    }
}

/// The system attributes of a message.
struct System<'m>(&'m mut Message);

impl Fill for System<'_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let message = &mut *self.0;
        match name {
            "ApproximateReceiveCount" => {
                // A count that is too large to read is a large one, not an absent one.
                let count = number::<u32, A>(map)?;
                message.receive_count =
                    count.map_or(message.receive_count, |count| count.unwrap_or(u32::MAX));
            }
            "SentTimestamp" => message.sent_at = millis(map)?,
            "ApproximateFirstReceiveTimestamp" => message.first_received_at = millis(map)?,
            "MessageGroupId" => message.group = map.next_value()?,
            "MessageDeduplicationId" => message.deduplication_id = map.next_value()?,
            "SequenceNumber" => message.sequence_number = map.next_value()?,
            "SenderId" => message.sender_id = map.next_value()?,
            "AWSTraceHeader" => message.trace_header = map.next_value()?,
            "DeadLetterQueueSourceArn" => message.dead_letter_source = map.next_value()?,
            _ => ignore(map)?,
        }
        Ok(())
    }
}

/// The message attributes.
impl Fill for BTreeMap<String, Attribute> {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let mut parts = AttributeParts::default();
        if map.next_value_seed(OrNull(Object(&mut parts)))? {
            self.insert(name.to_owned(), parts.into_attribute());
        }
        Ok(())
    }
}

#[derive(Default)]
struct AttributeParts {
    text: Option<String>,
    bytes: Option<Vec<u8>>,
    data_type: Option<String>,
}

impl Fill for AttributeParts {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "StringValue" => self.text = map.next_value()?,
            "BinaryValue" => {
                let decode = |Borrowed(text): Borrowed<'_>| aws_smithy_types::base64::decode(&*text);
                let bytes = map.next_value::<Option<Borrowed<'_>>>()?.map(decode).transpose();
                self.bytes = bytes.map_err(|_| de::Error::custom("a binary attribute is not base64"))?;
            }
            "DataType" => self.data_type = map.next_value()?,
            _ => ignore(map)?,
        }
        Ok(())
    }
}

impl AttributeParts {
    fn into_attribute(self) -> Attribute {
        let value = match self.bytes {
            Some(bytes) => AttributeValue::Binary(bytes),
            None => AttributeValue::Text(self.text.unwrap_or_default()),
        };
        Attribute::new(&self.data_type.unwrap_or_default(), value)
    }
}

fn ignore<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// Reads a value that may be `null`.
fn or_default<'de, T: Deserialize<'de> + Default, A: MapAccess<'de>>(map: &mut A) -> Result<T, A::Error> {
    Ok(map.next_value::<Option<T>>()?.unwrap_or_default())
}

/// Reads a number that is written as a string. Returns `None` for null, and `Err` if it is no number.
fn number<'de, T: FromStr, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Result<T, T::Err>>, A::Error> {
    let text = map.next_value::<Option<Borrowed<'_>>>()?;
    Ok(text.map(|Borrowed(text)| text.parse()))
}

fn millis<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Duration>, A::Error> {
    let millis = number::<u64, A>(map)?;
    Ok(millis.and_then(Result::ok).map(Duration::from_millis))
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

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "decode_fuzz_tests.rs"]
mod fuzz_tests;
