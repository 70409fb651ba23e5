//! The copy of a message in its DLQ.

use std::collections::BTreeMap;

use drumline::message::{Attribute, AttributeValue, Message};

use crate::limits::{MAX_MESSAGE_BYTES, is_allowed};

/// A message carries at most ten attributes. See
/// [Message attributes](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html).
const MAX_ATTRIBUTES: usize = 10;

/// Returns the attributes of a copy in the DLQ: the message's own, and the reason of its failure, as far as SQS has room for that.
pub fn copy_attributes(message: &Message, queue: &str, reason: &str) -> BTreeMap<String, Attribute> {
    let mut attributes = message.attributes.clone();
    let own =
        message.attributes.iter().map(|(name, value)| name.len() + value.data_type().len() + bytes(value));
    let mut size = message.body.len() + own.sum::<usize>();
    // In the order of their worth, since there may be room for some only.
    for (name, text) in [
        ("DrumlineReason", allowed(reason)),
        ("DrumlineMessageId", message.id.to_string()),
        ("DrumlineSourceQueue", queue.to_owned()),
    ] {
        size += name.len() + "String".len() + text.len();
        if text.is_empty() || attributes.len() >= MAX_ATTRIBUTES || size > MAX_MESSAGE_BYTES {
            break;
        }
        attributes.entry(name.to_owned()).or_insert_with(|| Attribute::text(text));
    }
    attributes
}

fn bytes(attribute: &Attribute) -> usize {
    match attribute.value() {
        AttributeValue::Text(text) => text.len(),
        AttributeValue::Binary(bytes) => bytes.len(),
    }
}

/// The text with a replacement for what SQS does not take.
fn allowed(text: &str) -> String {
    text.chars().map(|c| if is_allowed(c) { c } else { '\u{FFFD}' }).collect()
}
