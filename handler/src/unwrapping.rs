//! The frames that AWS services put around a body: SNS notifications, EventBridge events, S3 events.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::envelope::{TYPE_ATTRIBUTE, Undecodable};

/// An SNS notification, as SQS gets it from a subscription without raw delivery. See
/// [SNS JSON formats](https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html).
#[derive(Deserialize)]
pub(crate) struct Notification {
    #[serde(rename = "MessageId")]
    pub(crate) message_id: String,
    #[serde(rename = "Message")]
    pub(crate) message: String,
    #[serde(rename = "MessageAttributes", default)]
    attributes: HashMap<String, SnsAttribute>,
}

#[derive(Deserialize)]
struct SnsAttribute {
    #[serde(rename = "Value")]
    value: String,
}

impl Notification {
    pub(crate) fn message_type(&self) -> Option<&str> {
        self.attributes.get(TYPE_ATTRIBUTE).map(|attribute| attribute.value.as_str())
    }
}

pub(crate) fn sns(kind: &str, body: &str) -> Result<Notification, Undecodable> {
    if kind != "Notification" {
        return Err(Undecodable(format!("an SNS message of type {kind}, not a notification")));
    }
    serde_json::from_str(body).map_err(|e| Undecodable(format!("not an SNS notification: {e}")))
}

/// What is kept of an EventBridge event's frame. See
/// [Event structure](https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html).
#[derive(Deserialize)]
pub(crate) struct EventFrame {
    pub(crate) id: String,
    pub(crate) time: Option<String>,
}

pub(crate) fn event_bridge(body: &str) -> Result<EventFrame, Undecodable> {
    serde_json::from_str(body).map_err(|e| Undecodable(format!("not an EventBridge event: {e}")))
}

#[derive(Deserialize)]
struct S3Event {
    #[serde(rename = "Records")]
    records: Vec<S3Record>,
}

#[derive(Deserialize)]
struct S3Record {
    #[serde(rename = "eventName")]
    name: String,
    s3: S3Entity,
}

#[derive(Deserialize)]
struct S3Entity {
    bucket: S3Bucket,
    object: S3Object,
}

#[derive(Deserialize)]
struct S3Bucket {
    name: String,
}

#[derive(Deserialize)]
struct S3Object {
    key: String,
    size: Option<u64>,
    #[serde(rename = "eTag")]
    etag: Option<String>,
    #[serde(rename = "versionId")]
    version_id: Option<String>,
}

/// One object that S3 tells of, its key decoded.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ObjectEvent {
    event: String,
    bucket: String,
    key: String,
    size: Option<u64>,
    etag: Option<String>,
    version_id: Option<String>,
}

/// See [S3 event structure](https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html).
pub(crate) fn s3(body: &str) -> Result<Vec<ObjectEvent>, Undecodable> {
    let event: S3Event =
        serde_json::from_str(body).map_err(|e| Undecodable(format!("not an S3 event: {e}")))?;
    event.records.into_iter().map(object_event).collect()
}

fn object_event(record: S3Record) -> Result<ObjectEvent, Undecodable> {
    let S3Entity { bucket, object } = record.s3;
    let key = form_decoded(&object.key).ok_or_else(|| {
        Undecodable(format!("the S3 event's object key {:?} is not URL-encoded text", object.key))
    })?;
    Ok(ObjectEvent {
        event: record.name,
        bucket: bucket.name,
        key,
        size: object.size,
        etag: object.etag,
        version_id: object.version_id,
    })
}

/// S3 writes keys as HTML forms do: `+` for a space, `%XX` for other bytes.
fn form_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                rest = tail;
                u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_as_forms_are() {
        let table = [
            ("a/b+c.png", Some("a/b c.png")),
            ("%C3%BC%2B.png", Some("ü+.png")),
            ("100%", None),
            ("%zz", None),
            ("%FF", None),
        ];
        for (key, decoded) in table {
            assert_eq!(form_decoded(key).as_deref(), decoded, "{key}");
        }
    }
}
