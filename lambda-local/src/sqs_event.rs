//! SQS events as Lambda's event source mapping builds them.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use drumline_queue::api::ReceivedMessage;
use serde_json::{Map, Value, json};

/// Returns the record of a message that was received from the queue with this ARN.
pub fn sqs_record(message: &ReceivedMessage, queue_arn: &str) -> Map<String, Value> {
    let region = queue_arn.split(':').nth(3).unwrap_or_default();
    let attributes = message.message_attributes.iter().map(|(name, value)| {
        // The JSON of a receive contains binary values as base64 text, the same as Lambda's record.
        (name.clone(), message_attribute(&json!(value)))
    });
    let mut record = Map::new();
    let mut set = |name: &str, value: Value| record.insert(name.to_owned(), value);
    set("messageId", json!(message.message_id));
    set("receiptHandle", json!(message.receipt_handle));
    set("body", json!(message.body));
    set("attributes", json!(message.attributes));
    set("messageAttributes", Value::Object(attributes.collect()));
    if let Some(md5) = &message.md5_of_message_attributes {
        set("md5OfMessageAttributes", json!(md5));
    }
    set("md5OfBody", json!(message.md5_of_body));
    set("eventSource", json!("aws:sqs"));
    set("eventSourceARN", json!(queue_arn));
    set("awsRegion", json!(region));
    record
}

fn message_attribute(value: &Value) -> Value {
    let names = [("StringValue", "stringValue"), ("BinaryValue", "binaryValue"), ("DataType", "dataType")];
    let given = names.into_iter().filter(|(name, _)| !value[*name].is_null());
    let mut fields: Map<_, _> =
        given.map(|(name, lambdas)| (lambdas.to_owned(), value[name].clone())).collect();
    // Lambda always sends both lists. SQS does not use them.
    fields.insert("stringListValues".to_owned(), json!([]));
    fields.insert("binaryListValues".to_owned(), json!([]));
    Value::Object(fields)
}
