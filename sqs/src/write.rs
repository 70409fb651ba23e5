//! The bodies of requests, in AWS JSON 1.0.
//!
//! Shapes: [ReceiveMessage](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html) and its
//! neighbours.

use std::collections::BTreeMap;

use bytes::Bytes;
use drumline::message::{Attribute, AttributeValue};

use crate::escape::{number, string};

/// A request to receive messages.
#[derive(Debug, Clone, Copy)]
pub struct ReceiveRequest<'a> {
    /// The maximum number of messages, 1 to 10.
    pub max: usize,
    /// The time to wait for messages, in seconds: 0 to 20.
    pub wait_secs: u64,
    /// The time for which received messages are hidden, in seconds; `None` for the queue's setting.
    pub visibility_secs: Option<u64>,
    /// The system attributes to receive, such as `SentTimestamp`.
    pub system_attributes: &'a [&'a str],
}

/// A message to delete.
#[derive(Debug, Clone, Copy)]
pub struct DeleteEntry<'a> {
    /// Its receipt handle.
    pub receipt: &'a str,
}

/// A message whose visibility changes.
#[derive(Debug, Clone, Copy)]
pub struct VisibilityEntry<'a> {
    /// Its receipt handle.
    pub receipt: &'a str,
    /// The time for which the message is hidden from now, in seconds.
    pub visibility_secs: u64,
}

/// A message to send.
#[derive(Debug, Clone, Copy)]
pub struct SendEntry<'a> {
    /// The body.
    pub body: &'a str,
    /// The message attributes.
    pub attributes: &'a BTreeMap<String, Attribute>,
    /// The delay, in seconds; `None` for the queue's setting.
    pub delay_secs: Option<u64>,
    /// The message group.
    pub group: Option<&'a str>,
    /// The deduplication id.
    pub deduplication_id: Option<&'a str>,
    /// The X-Ray header.
    pub trace_header: Option<&'a str>,
}

/// Begins a body of about `bytes` bytes with the queue's URL.
fn begin(queue_url: &str, bytes: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(bytes + queue_url.len() + 64);
    body.extend_from_slice(br#"{"QueueUrl":"#);
    string(&mut body, queue_url);
    body
}

/// Writes the entries of a batch. Their ids are positions, because message ids may repeat within a batch, for which SQS would
/// refuse all of it.
fn batch<T>(mut body: Vec<u8>, entries: &[T], write: impl Fn(&mut Vec<u8>, &T)) -> Bytes {
    body.extend_from_slice(br#","Entries":["#);
    for (index, entry) in entries.iter().enumerate() {
        body.extend_from_slice(if index == 0 { br#"{"Id":""# } else { br#",{"Id":""# });
        number(&mut body, index as u64);
        body.push(b'"');
        write(&mut body, entry);
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
    body.into()
}

pub(crate) fn receive(queue_url: &str, request: &ReceiveRequest<'_>) -> Bytes {
    let mut body = begin(queue_url, 512);
    body.extend_from_slice(br#","MaxNumberOfMessages":"#);
    number(&mut body, request.max as u64);
    body.extend_from_slice(br#","WaitTimeSeconds":"#);
    number(&mut body, request.wait_secs);
    if let Some(secs) = request.visibility_secs {
        body.extend_from_slice(br#","VisibilityTimeout":"#);
        number(&mut body, secs);
    }
    body.extend_from_slice(br#","MessageSystemAttributeNames":["#);
    for (index, name) in request.system_attributes.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        string(&mut body, name);
    }
    body.extend_from_slice(br#"],"MessageAttributeNames":["All"]}"#);
    body.into()
}

pub(crate) fn delete(queue_url: &str, entries: &[DeleteEntry<'_>]) -> Bytes {
    let bytes = entries.iter().map(|entry| entry.receipt.len() + 48).sum();
    batch(begin(queue_url, bytes), entries, |body, entry| {
        body.extend_from_slice(br#","ReceiptHandle":"#);
        string(body, entry.receipt);
    })
}

pub(crate) fn change_visibility(queue_url: &str, entries: &[VisibilityEntry<'_>]) -> Bytes {
    let bytes = entries.iter().map(|entry| entry.receipt.len() + 80).sum();
    batch(begin(queue_url, bytes), entries, |body, entry| {
        body.extend_from_slice(br#","ReceiptHandle":"#);
        string(body, entry.receipt);
        body.extend_from_slice(br#","VisibilityTimeout":"#);
        number(body, entry.visibility_secs);
    })
}

pub(crate) fn send(queue_url: &str, entries: &[SendEntry<'_>]) -> Bytes {
    let bytes = entries.iter().map(|entry| entry.body.len() + entry.body.len() / 8 + 256).sum();
    batch(begin(queue_url, bytes), entries, |body, entry| {
        body.extend_from_slice(br#","MessageBody":"#);
        string(body, entry.body);
        if let Some(secs) = entry.delay_secs {
            body.extend_from_slice(br#","DelaySeconds":"#);
            number(body, secs);
        }
        attributes(body, entry.attributes);
        if let Some(header) = entry.trace_header {
            body.extend_from_slice(br#","MessageSystemAttributes":{"AWSTraceHeader":{"StringValue":"#);
            string(body, header);
            body.extend_from_slice(br#","DataType":"String"}}"#);
        }
        if let Some(id) = entry.deduplication_id {
            body.extend_from_slice(br#","MessageDeduplicationId":"#);
            string(body, id);
        }
        if let Some(group) = entry.group {
            body.extend_from_slice(br#","MessageGroupId":"#);
            string(body, group);
        }
    })
}

fn attributes(body: &mut Vec<u8>, attributes: &BTreeMap<String, Attribute>) {
    if attributes.is_empty() {
        return;
    }
    body.extend_from_slice(br#","MessageAttributes":{"#);
    for (index, (name, attribute)) in attributes.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        string(body, name);
        match attribute.value() {
            AttributeValue::Text(text) => {
                body.extend_from_slice(br#":{"StringValue":"#);
                string(body, text);
            }
            AttributeValue::Binary(bytes) => {
                body.extend_from_slice(br#":{"BinaryValue":"#);
                string(body, &aws_smithy_types::base64::encode(bytes));
            }
        }
        body.extend_from_slice(br#","DataType":"#);
        string(body, attribute.data_type());
        body.push(b'}');
    }
    body.push(b'}');
}
