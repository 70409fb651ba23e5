//! Converts between the types of the embedded queue and those of handlers.

use std::collections::BTreeMap;
use std::time::Duration;

use drumline::core::{CallError, Replies};
use drumline::message::{Attribute, AttributeValue, Message};
use drumline_queue::Timestamp;
use drumline_queue::api::{MessageAttributeValue, MessageAttributes, ReceivedMessage, SettledBatchReply};
use drumline_runtime::aws::is_gone;

pub(crate) fn message(received: ReceivedMessage) -> Message {
    let system = received.attributes;
    let text = |text: Option<std::sync::Arc<str>>| text.map(|text| text.to_string());
    Message {
        id: received.message_id,
        receipt: received.receipt_handle,
        body: received.body.to_string(),
        receive_count: system.approximate_receive_count.unwrap_or_default(),
        sent_at: system.sent_timestamp.map(since_epoch),
        first_received_at: system.approximate_first_receive_timestamp.map(since_epoch),
        group: text(system.message_group_id),
        deduplication_id: text(system.message_deduplication_id),
        sequence_number: text(system.sequence_number),
        sender_id: text(system.sender_id),
        trace_header: text(system.aws_trace_header),
        dead_letter_source: text(system.dead_letter_queue_source_arn),
        attributes: attributes(&received.message_attributes),
    }
}

fn since_epoch(at: Timestamp) -> Duration {
    Duration::from_millis(at.as_millis())
}

pub(crate) fn attributes(attributes: &MessageAttributes) -> BTreeMap<String, Attribute> {
    let read = |attribute: &MessageAttributeValue| {
        let value = match &attribute.binary_value {
            Some(bytes) => AttributeValue::Binary(bytes.clone()),
            None => AttributeValue::Text(attribute.string_value.clone().unwrap_or_default()),
        };
        Attribute::new(&attribute.data_type, value)
    };
    attributes.iter().map(|(name, attribute)| (name.clone(), read(attribute))).collect()
}

pub(crate) fn queue_attributes(attributes: &BTreeMap<String, Attribute>) -> MessageAttributes {
    let write = |attribute: &Attribute| MessageAttributeValue {
        data_type: attribute.data_type().to_owned(),
        ..match attribute.value() {
            AttributeValue::Text(text) => MessageAttributeValue::string(text),
            AttributeValue::Binary(bytes) => MessageAttributeValue::binary(bytes.clone()),
        }
    };
    attributes.iter().map(|(name, attribute)| (name.clone(), write(attribute))).collect()
}

/// Returns the replies to a batch of `count` entries. The id of an entry is its index.
pub(crate) fn replies(count: usize, reply: &SettledBatchReply) -> Replies {
    let mut replies: Replies = vec![Ok(()); count];
    for failed in &reply.failed {
        let place = failed.id.parse::<usize>().ok().and_then(|index| replies.get_mut(index));
        let text = format!("{}: {}", failed.code, failed.message);
        let is_gone = is_gone(&failed.code, Some(&failed.message));
        if let Some(place) = place {
            *place = Err(if is_gone { CallError::Gone(text) } else { CallError::Failed(text) });
        }
    }
    replies
}
