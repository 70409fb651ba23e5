//! The envelopes of AWS services around a body: SNS notifications, EventBridge events, S3 events.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::message::envelope::TYPE_ATTRIBUTE;
use crate::message::invalid_payload::InvalidPayload;
use crate::message::objects::from_json;
use crate::message::sqs_message::{Attribute, AttributeValue, text_of};

/// The attribute by which SNS marks a message that comes from an archive's replay; its `MessageId` is the original's. With
/// raw delivery it is an attribute of the SQS message. See
/// [Message replay](https://docs.aws.amazon.com/sns/latest/dg/message-archiving-and-replay-subscriber.html).
pub(crate) const SNS_REPLAYED: &str = "Replayed";

/// An SNS notification, as SQS gets it from a subscription without raw delivery. See
/// [SNS JSON formats](https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html).
pub(crate) struct Notification {
    pub(crate) message_id: Option<String>,
    pub(crate) topic_arn: String,
    pub(crate) message: String,
    pub(crate) attributes: BTreeMap<String, Attribute>,
    pub(crate) is_replay: bool,
}

#[derive(Deserialize)]
struct RawNotification {
    #[serde(rename = "MessageId")]
    message_id: Option<String>,
    #[serde(rename = "TopicArn")]
    topic_arn: Option<String>,
    #[serde(rename = "Message")]
    message: String,
    #[serde(rename = "MessageAttributes")]
    attributes: Option<HashMap<String, SnsAttribute>>,
    #[serde(rename = "Replayed")]
    replayed: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct SnsAttribute {
    #[serde(rename = "Type")]
    data_type: Option<String>,
    #[serde(rename = "Value")]
    value: Option<String>,
}

impl Notification {
    pub(crate) fn message_type(&self) -> Option<&str> {
        text_of(&self.attributes, TYPE_ATTRIBUTE)
    }
}

pub(crate) fn sns(kind: &str, body: &str) -> Result<Notification, InvalidPayload> {
    if kind != "Notification" {
        return Err(InvalidPayload(format!("an SNS message of type {kind}, not a notification")));
    }
    let raw: RawNotification =
        from_json(body).map_err(|e| InvalidPayload(format!("not an SNS notification: {e}")))?;
    let attributes = raw.attributes.unwrap_or_default().into_iter().filter_map(|(name, attribute)| {
        // Bytes stay the base64 text of SNS; the data type shows that.
        let value = AttributeValue::Text(attribute.value?);
        Some((name, Attribute::new(attribute.data_type.as_deref().unwrap_or_default(), value)))
    });
    let attributes: BTreeMap<String, Attribute> = attributes.collect();
    let is_replay = attributes.contains_key(SNS_REPLAYED) || raw.replayed.is_some_and(|mark| !mark.is_null());
    Ok(Notification {
        message_id: raw.message_id.filter(|id| !id.is_empty()),
        topic_arn: raw.topic_arn.unwrap_or_default(),
        message: raw.message,
        attributes,
        is_replay,
    })
}

/// The fields of an EventBridge event that are kept. See
/// [Event structure](https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html).
pub(crate) struct EventFrame {
    pub(crate) id: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) detail_type: String,
    pub(crate) time: Option<String>,
    /// The event has the name of a replay; its id is the original's. See
    /// [Replaying events](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-replay-archived-event.html).
    pub(crate) is_replay: bool,
}

#[derive(Deserialize)]
struct RawEventFrame {
    id: Option<String>,
    source: Option<String>,
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    time: Option<String>,
    #[serde(rename = "replay-name")]
    replay_name: Option<String>,
}

pub(crate) fn event_bridge(body: &str) -> Result<EventFrame, InvalidPayload> {
    let not_an_event =
        |why: &dyn std::fmt::Display| InvalidPayload(format!("not an EventBridge event: {why}"));
    let raw: RawEventFrame = from_json(body).map_err(|e| not_an_event(&e))?;
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let detail_type = filled(raw.detail_type).ok_or_else(|| not_an_event(&"its detail-type is empty"))?;
    Ok(EventFrame {
        id: filled(raw.id),
        source: filled(raw.source),
        detail_type,
        time: filled(raw.time),
        is_replay: filled(raw.replay_name).is_some(),
    })
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

/// One object of an S3 event, with its key decoded.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ObjectEvent {
    event: String,
    pub(crate) bucket: String,
    key: String,
    size: Option<u64>,
    etag: Option<String>,
    version_id: Option<String>,
}

/// See [S3 event structure](https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html).
pub(crate) fn s3(body: &str) -> Result<Vec<ObjectEvent>, InvalidPayload> {
    let event: S3Event = from_json(body).map_err(|e| InvalidPayload(format!("not an S3 event: {e}")))?;
    event.records.into_iter().map(object_event).collect()
}

fn object_event(record: S3Record) -> Result<ObjectEvent, InvalidPayload> {
    let S3Entity { bucket, object } = record.s3;
    let key = form_decoded(&object.key).ok_or_else(|| {
        InvalidPayload(format!("the S3 event's object key {:?} is not URL-encoded text", object.key))
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
