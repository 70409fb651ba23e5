//! SQS events as Lambda's event source mapping builds them.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use bytes::Bytes;
use drumline_lambda_local::sqs_record;
use drumline_queue::api::ReceivedMessage;
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use crate::runtime_api::uuid;

/// The queue of records made by hand. No server has it.
pub const HAND_MADE_QUEUE: &str = "arn:aws:sqs:eu-central-1:000000000000:hand-made";

/// One record of an event.
#[derive(Debug, Clone)]
pub struct Record(Map<String, Value>);

impl Record {
    /// Returns a record made by hand, with every field that Lambda sends. No queue contains its message.
    pub fn hand_made(body: &str) -> Self {
        let sent = "1763800000000";
        Self::of(json!({
            "messageId": uuid(),
            "receiptHandle": format!("handle-{}", uuid()),
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": sent,
                "SenderId": "000000000000",
                "ApproximateFirstReceiveTimestamp": sent,
            },
            "messageAttributes": {},
            "md5OfBody": md5(body),
            "eventSource": "aws:sqs",
            "eventSourceARN": HAND_MADE_QUEUE,
            "awsRegion": "eu-central-1",
        }))
    }

    /// Returns the record of a message that was received from the queue with this ARN.
    pub fn received(message: &ReceivedMessage, queue_arn: &str) -> Self {
        Self(sqs_record(message, queue_arn))
    }

    fn of(value: Value) -> Self {
        let Value::Object(fields) = value else { unreachable!("records are objects") };
        Self(fields)
    }

    /// Sets a field.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0.insert(field.to_owned(), value.into());
        self
    }

    /// Sets a system attribute, such as `MessageGroupId`.
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.0["attributes"][name] = json!(value);
        self
    }

    /// Removes a field.
    ///
    /// # Panics
    /// If it has no such field: a test that removes nothing would prove nothing.
    pub fn without(mut self, field: &str) -> Self {
        assert!(self.0.remove(field).is_some(), "a record has no {field:?}");
        self
    }

    /// Returns the message's ID.
    pub fn id(&self) -> String {
        self.text("messageId")
    }

    /// Returns the handle of its receive.
    pub fn receipt_handle(&self) -> String {
        self.text("receiptHandle")
    }

    /// Returns the message's body.
    pub fn body(&self) -> String {
        self.text("body")
    }

    fn text(&self, field: &str) -> String {
        self.0[field].as_str().unwrap_or_else(|| panic!("{field} is text in {:?}", self.0)).to_owned()
    }
}

/// Returns the MD5 of a text, as SQS writes it.
pub fn md5(text: &str) -> String {
    format!("{:032x}", u128::from_be_bytes(Md5::digest(text).into()))
}

/// Returns the event with these records.
pub fn sqs_event<'a>(records: impl IntoIterator<Item = &'a Record>) -> Bytes {
    let records: Vec<&Map<String, Value>> = records.into_iter().map(|record| &record.0).collect();
    json!({ "Records": records }).to_string().into()
}

/// Returns the IDs of records, in order.
pub fn ids<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<String> {
    records.into_iter().map(Record::id).collect()
}

#[cfg(test)]
mod tests {
    use drumline_queue::api::{MessageAttributeValue, SendMessage};

    use super::*;
    use crate::local_queue::LocalQueue;
    use crate::queues::Setup;

    fn fields(record: &Record) -> Vec<&str> {
        record.0.keys().map(String::as_str).collect()
    }

    #[tokio::test]
    async fn a_received_message_becomes_the_record_that_lambda_sends() {
        let queue = LocalQueue::create(Setup::default()).await;
        let values = [
            ("Tenant", MessageAttributeValue::string("ada")),
            ("Bytes", MessageAttributeValue::binary([0, 255])),
        ];
        let message_attributes = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let id = queue.send_with("hello", SendMessage { message_attributes, ..SendMessage::default() });
        let record = queue.receive(1).await.remove(0);
        assert_eq!((record.id(), record.body()), (id, "hello".to_owned()));
        assert_eq!(record.0["attributes"]["ApproximateReceiveCount"], "1");
        assert_eq!(record.0["eventSourceARN"], "arn:aws:sqs:us-east-1:000000000000:jobs");
        assert_eq!(record.0["awsRegion"], "us-east-1");
        let expected = json!({
            "Tenant": {
                "stringValue": "ada", "dataType": "String", "stringListValues": [], "binaryListValues": []
            },
            "Bytes": {
                "binaryValue": "AP8=", "dataType": "Binary", "stringListValues": [], "binaryListValues": []
            },
        });
        assert_eq!(record.0["messageAttributes"], expected);

        let hand_made = Record::hand_made("hello");
        let without = record.clone().without("md5OfMessageAttributes");
        assert_eq!(fields(&hand_made), fields(&without));
        assert_eq!(hand_made.0["md5OfBody"], record.0["md5OfBody"]);
    }
}
