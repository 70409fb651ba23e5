//! Converts the event's JSON to messages. An invalid record does not affect the others.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage, SqsMessageAttribute};
use drumline::message::{Attribute, AttributeValue, Message, from_json};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// The value of `eventSource` in a record of SQS.
const SQS: &str = "aws:sqs";

/// The payload of an invocation: the records of an SQS event, or the reason why it is not an SQS event. See
/// [Using Lambda with Amazon SQS](https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html).
///
/// ```
/// use drumline_lambda::Event;
///
/// let event: Event = serde_json::from_str(r#"{"Records":[{"messageId":"m1","body":"{}"}]}"#)?;
/// assert_eq!(event.records()?.len(), 1);
/// let event: Event = serde_json::from_str(r#"{"detail-type":"Scheduled Event"}"#)?;
/// assert!(event.records().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Event(Result<Vec<Record>, String>);

/// A message of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The ARN of its queue, if the record contains it.
    pub(crate) queue_arn: Option<String>,
    /// Its ID is empty if the record has none.
    pub(crate) message: Message,
}

impl Event {
    /// Returns its records.
    ///
    /// # Errors
    /// The reason why it is not an SQS event.
    pub fn records(&self) -> Result<&[Record], &str> {
        self.0.as_deref().map_err(String::as_str)
    }

    pub(crate) fn into_records(self) -> Result<Vec<Record>, String> {
        self.0
    }
}

/// Parsing never fails, so that an invalid event is reported by this crate's error with this crate's text.
impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(read(raw.get())))
    }
}

fn read(json: &str) -> Result<Vec<Record>, String> {
    let records = match from_json::<SqsEvent>(json) {
        Ok(event) if event.records.iter().all(|r| r.event_source.as_deref() == Some(SQS)) => event.records,
        // A record that was made by hand, is unusual, or comes from another service whose records would pass as empty SQS
        // records.
        _ => one_by_one(json)?,
    };
    Ok(records.into_iter().map(record).collect())
}

fn not_sqs(why: &str) -> String {
    format!("not an SQS event: {why}; invoke this function by an SQS event source mapping")
}

/// Reads each record separately, as far as it is valid. Used if not all records have the expected form.
fn one_by_one(json: &str) -> Result<Vec<SqsMessage>, String> {
    let event: Value = serde_json::from_str(json).map_err(|error| not_sqs(&error.to_string()))?;
    let Some(Value::Array(records)) = event.get("Records") else {
        return Err(not_sqs("it has no list called Records"));
    };
    if let Some(other) = records.iter().find(|record| !record.is_object()) {
        let kind = if other.is_string() { "a text" } else { "no object" };
        return Err(not_sqs(&format!("one of its Records is {kind}")));
    }
    // SNS writes this name with a capital.
    let source = records.iter().find_map(|record| record.get("eventSource").or(record.get("EventSource")));
    if let Some(other) = source.and_then(Value::as_str).filter(|source| *source != SQS) {
        return Err(not_sqs(&format!("its records come from {other}")));
    }
    Ok(records.iter().map(lenient).collect())
}

/// Converts a record whose fields have unexpected types to a message. Decoding for the handler then fails, not the batch.
fn lenient(record: &Value) -> SqsMessage {
    if let Ok(message) = SqsMessage::deserialize(record) {
        return message;
    }
    let text = |name: &str| record.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut message = SqsMessage::default();
    message.message_id = text("messageId");
    message.receipt_handle = text("receiptHandle");
    message.event_source_arn = text("eventSourceARN");
    message.body = text("body").or_else(|| record.get("body").map(Value::to_string));
    if let Some(Value::Object(attributes)) = record.get("attributes") {
        let texts =
            attributes.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        message.attributes = texts.collect();
    }
    if let Some(Value::Object(attributes)) = record.get("messageAttributes") {
        let read = |value: &Value| SqsMessageAttribute::deserialize(value).ok();
        let good = attributes.iter().filter_map(|(name, value)| Some((name.clone(), read(value)?)));
        message.message_attributes = good.collect();
    }
    message
}

fn record(mut record: SqsMessage) -> Record {
    let mut take = |name: &str| record.attributes.remove(name);
    let millis = |text: Option<String>| text.and_then(|text| text.parse().ok()).map(Duration::from_millis);
    let message = Message {
        // A count that is too large to parse is large, never zero.
        receive_count: take("ApproximateReceiveCount").map_or(0, |count| count.parse().unwrap_or(u32::MAX)),
        sent_at: millis(take("SentTimestamp")),
        first_received_at: millis(take("ApproximateFirstReceiveTimestamp")),
        group: take("MessageGroupId"),
        deduplication_id: take("MessageDeduplicationId"),
        sequence_number: take("SequenceNumber"),
        sender_id: take("SenderId"),
        trace_header: take("AWSTraceHeader"),
        dead_letter_source: take("DeadLetterQueueSourceArn"),
        id: record.message_id.unwrap_or_default().into(),
        receipt: record.receipt_handle.unwrap_or_default(),
        body: record.body.unwrap_or_default(),
        attributes: attributes(record.message_attributes),
    };
    Record { queue_arn: record.event_source_arn, message }
}

fn attributes(attributes: HashMap<String, SqsMessageAttribute>) -> BTreeMap<String, Attribute> {
    let value = |attribute: SqsMessageAttribute| {
        let value = match attribute.binary_value {
            Some(bytes) => AttributeValue::Binary(bytes.0),
            None => AttributeValue::Text(attribute.string_value.unwrap_or_default()),
        };
        Attribute::new(attribute.data_type.as_deref().unwrap_or_default(), value)
    };
    attributes.into_iter().map(|(name, attribute)| (name, value(attribute))).collect()
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
