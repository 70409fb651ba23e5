//! The limits of SQS for messages.

use std::collections::BTreeMap;

use crate::message::sqs_message::{Attribute, AttributeValue};

/// A message's body and attributes together are at most 1 MiB, and so is a batch. See
/// [Message quotas](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;

/// A message has at most ten attributes. See
/// [Message attributes](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html).
pub const MAX_ATTRIBUTES: usize = 10;

/// Returns true if a body or an attribute may contain the character: those of XML 1.0. See
/// [SendMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
pub fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

/// Returns the bytes of attributes that SQS counts: names, data types and values.
pub fn attributes_bytes(attributes: &BTreeMap<String, Attribute>) -> usize {
    let of_value = |value: &AttributeValue| match value {
        AttributeValue::Text(text) => text.len(),
        AttributeValue::Binary(bytes) => bytes.len(),
    };
    attributes
        .iter()
        .map(|(name, attribute)| name.len() + attribute.data_type().len() + of_value(attribute.value()))
        .sum()
}
