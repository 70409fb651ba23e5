//! Translates between SQS's types and Drumline's.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    Message as SqsMessage, MessageAttributeValue, MessageSystemAttributeName as SystemAttribute,
};
use drumline::core::{CallError, Entry, Replies, VisibilityEntry};
use drumline::message::{Attribute, AttributeValue, Message};

use super::copy;
use super::errors::is_gone;

pub(super) fn message(message: SqsMessage) -> Message {
    let mut translated = Message {
        id: message.message_id.unwrap_or_default().into(),
        receipt: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
        attributes: message.message_attributes.map(attributes).unwrap_or_default(),
        ..Message::default()
    };
    let millis = |text: String| text.parse().ok().map(Duration::from_millis);
    // Each attribute is read once: looking up each in the map would take as long as everything else here.
    for (name, value) in message.attributes.into_iter().flatten() {
        match name {
            // A count that is too large to read is a large one, not an absent one.
            SystemAttribute::ApproximateReceiveCount => {
                translated.receive_count = value.parse().unwrap_or(u32::MAX);
            }
            SystemAttribute::SentTimestamp => translated.sent_at = millis(value),
            SystemAttribute::ApproximateFirstReceiveTimestamp => translated.first_received_at = millis(value),
            SystemAttribute::MessageGroupId => translated.group = Some(value),
            SystemAttribute::MessageDeduplicationId => translated.deduplication_id = Some(value),
            SystemAttribute::SequenceNumber => translated.sequence_number = Some(value),
            SystemAttribute::SenderId => translated.sender_id = Some(value),
            SystemAttribute::AwsTraceHeader => translated.trace_header = Some(value),
            SystemAttribute::DeadLetterQueueSourceArn => translated.dead_letter_source = Some(value),
            _ => {}
        }
    }
    translated
}

fn attributes(attributes: HashMap<String, MessageAttributeValue>) -> BTreeMap<String, Attribute> {
    let value = |attribute: MessageAttributeValue| {
        let value = match attribute.binary_value {
            Some(bytes) => AttributeValue::Binary(bytes.into_inner()),
            None => AttributeValue::Text(attribute.string_value.unwrap_or_default()),
        };
        Attribute::new(&attribute.data_type, value)
    };
    attributes.into_iter().map(|(name, attribute)| (name, value(attribute))).collect()
}

/// Makes a batch entry. Entry ids are positions, because message ids may repeat within a batch, for which SQS would refuse all
/// of it.
pub(super) fn delete_entry(index: usize, entry: &Entry) -> DeleteMessageBatchRequestEntry {
    let entry =
        DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(&*entry.receipt);
    entry.build().expect("both fields are set")
}

pub(super) fn visibility_entry(
    index: usize,
    entry: &VisibilityEntry,
) -> ChangeMessageVisibilityBatchRequestEntry {
    let built = ChangeMessageVisibilityBatchRequestEntry::builder()
        .id(index.to_string())
        .receipt_handle(&*entry.receipt)
        .visibility_timeout(i32::try_from(entry.visibility_secs).unwrap_or(i32::MAX));
    built.build().expect("all fields are set")
}

/// Returns both lists of a batch's answer in the order of the entries. An entry in neither list has failed.
pub(super) fn replies<'a>(
    count: usize,
    successful: impl Iterator<Item = &'a str>,
    failed: &'a [BatchResultErrorEntry],
) -> Replies {
    let failed =
        failed.iter().map(|entry| (entry.id.as_str(), entry_error(&entry.code, entry.message.as_deref())));
    in_order(count, successful, failed)
}

/// Returns the error of an entry of a batch.
pub(super) fn entry_error(code: &str, message: Option<&str>) -> CallError {
    let text = match message {
        Some(message) => format!("{code}: {message}"),
        None => code.to_owned(),
    };
    if is_gone(code, message) { CallError::Gone(text) } else { CallError::Failed(text) }
}

/// Returns results by the positions of their entries.
pub(super) fn in_order<'a>(
    count: usize,
    successful: impl Iterator<Item = &'a str>,
    failed: impl Iterator<Item = (&'a str, CallError)>,
) -> Replies {
    let mut replies: Vec<Option<Result<(), CallError>>> = vec![None; count];
    let mut answer = |id: &str, reply| {
        if let Some(slot) = id.parse::<usize>().ok().and_then(|index| replies.get_mut(index)) {
            *slot = Some(reply);
        }
    };
    for id in successful {
        answer(id, Ok(()));
    }
    for (id, error) in failed {
        answer(id, Err(error));
    }
    let missing = || Err(CallError::Failed("the answer does not mention this entry".to_owned()));
    replies.into_iter().map(|reply| reply.unwrap_or_else(missing)).collect()
}

/// Returns the attributes of a copy in the DLQ, see [`copy_attributes`](super::copy::copy_attributes).
pub(super) fn copy_attributes(
    message: &Message,
    queue: &str,
    reason: &str,
) -> HashMap<String, MessageAttributeValue> {
    let attributes = copy::copy_attributes(message, queue, reason);
    attributes.iter().map(|(name, attribute)| (name.clone(), attribute_value(attribute))).collect()
}

fn attribute_value(attribute: &Attribute) -> MessageAttributeValue {
    let value = MessageAttributeValue::builder().data_type(attribute.data_type());
    let value = match attribute.value() {
        AttributeValue::Text(text) => value.string_value(text),
        AttributeValue::Binary(bytes) => value.binary_value(bytes.clone().into()),
    };
    value.build().expect("the data type is set")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_MESSAGE_BYTES;

    fn failed(id: &str, code: &str) -> BatchResultErrorEntry {
        BatchResultErrorEntry::builder().id(id).code(code).sender_fault(true).build().expect("all set")
    }

    #[test]
    fn answers_are_read_per_entry() {
        let answers = replies(4, ["2", "0", "77"].into_iter(), &[failed("1", "ReceiptHandleIsInvalid")]);
        assert_eq!(answers[0], Ok(()));
        assert!(matches!(answers[1], Err(CallError::Gone(_))));
        assert_eq!(answers[2], Ok(()));
        assert!(matches!(answers[3], Err(CallError::Failed(_))), "neither list mentions it");
        assert_eq!(answers.len(), 4);
    }

    #[test]
    fn a_message_without_anything_is_still_a_message() {
        let empty = message(SqsMessage::builder().build());
        assert_eq!((&*empty.id, empty.receive_count), ("", 0));
        let odd = SqsMessage::builder()
            .attributes(SystemAttribute::ApproximateReceiveCount, "99999999999999999999")
            .attributes(SystemAttribute::SentTimestamp, "yesterday");
        let odd = message(odd.build());
        assert_eq!((odd.receive_count, odd.sent_at), (u32::MAX, None));
    }

    #[test]
    fn data_types_survive_the_way_in_and_a_copy() {
        let table = [
            ("n", "Number.int", AttributeValue::Text("7".into())),
            ("j", "String.Json", AttributeValue::Text("{}".into())),
            ("b", "Binary.Protobuf", AttributeValue::Binary(vec![0, 1])),
            ("t", "String", AttributeValue::Text("x".into())),
        ];
        let mut received = SqsMessage::builder();
        for (name, data_type, value) in &table {
            received = received
                .message_attributes(*name, attribute_value(&Attribute::new(data_type, value.clone())));
        }
        let copied = copy_attributes(&message(received.build()), "jobs", "why");
        for (name, data_type, value) in table {
            assert_eq!(copied[name].data_type(), data_type);
            match value {
                AttributeValue::Text(text) => assert_eq!(copied[name].string_value(), Some(text.as_str())),
                AttributeValue::Binary(bytes) => {
                    assert_eq!(copied[name].binary_value().map(AsRef::as_ref), Some(bytes.as_slice()));
                }
            }
        }
    }

    #[test]
    fn a_copy_keeps_its_attributes_and_gets_the_reason_if_it_fits() {
        let mut source = Message { id: "m".into(), body: "b".into(), ..Message::default() };
        let copied = copy_attributes(&source, "jobs", "bad\u{0}byte");
        assert_eq!(copied["DrumlineReason"].string_value(), Some("bad\u{FFFD}byte"));
        assert_eq!(copied.len(), 3);
        for n in 0..9 {
            source.attributes.insert(format!("a{n}"), Attribute::text("x"));
        }
        let copied = copy_attributes(&source, "jobs", "why");
        assert_eq!((copied.len(), copied["DrumlineReason"].string_value()), (10, Some("why")));
        source.attributes.clear();
        source.body = "x".repeat(MAX_MESSAGE_BYTES);
        assert!(copy_attributes(&source, "jobs", "why").is_empty());
    }
}
