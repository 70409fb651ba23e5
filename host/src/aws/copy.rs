//! The copy of a message in its DLQ.

use std::collections::BTreeMap;

use drumline::message::limits::{MAX_ATTRIBUTES, MAX_MESSAGE_BYTES, attributes_bytes, is_allowed};
use drumline::message::{Attribute, Message};

/// Returns the attributes of a copy in the DLQ: the message's own, and the reason of its failure, if they fit into SQS's
/// limits.
pub fn copy_attributes(message: &Message, queue: &str, reason: &str) -> BTreeMap<String, Attribute> {
    let mut attributes = message.attributes.clone();
    let mut size = message.body.len() + attributes_bytes(&message.attributes);
    // In the order of their importance, because there may be space for only some of them.
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

/// Returns the text with replacements for characters that SQS refuses.
fn allowed(text: &str) -> String {
    text.chars().map(|c| if is_allowed(c) { c } else { '\u{FFFD}' }).collect()
}
