//! From a message's body to a job's type, version and payload.
//!
//! Supported are the native envelope, [CloudEvents 1.0](https://github.com/cloudevents/spec) JSON, and a raw body whose type
//! comes from the message attribute `messageType` or from the queue's settings. An SNS notification or an EventBridge event may
//! be around any of these, and S3's own events are supported too. Envelopes are JSON objects, never arrays. Any other body is
//! undecodable, never a crash.
//!
//! A type from outside the body (`messageType` or the settings' `event_types`) takes precedence over the type in the body: the
//! body is opened only if it is an envelope of that same type, and is the payload otherwise.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::message::aws_events;
use crate::message::cloud_event;
use crate::message::envelope::{Envelope, S3_EVENT_TYPE, S3_TEST_EVENT_TYPE, TYPE_ATTRIBUTE};
use crate::message::fields::{field, filled, id, null, raw_value, text};
use crate::message::intake::Intake;
use crate::message::invalid_payload::InvalidPayload;
use crate::message::objects::from_json;
use crate::message::sqs_message::Message;

/// The maximum number of envelopes around a body: S3 in EventBridge in SNS is the deepest nesting of AWS.
const MAX_WRAPPINGS: u8 = 3;

/// Some Windows producers put it before their JSON, where JSON does not allow it.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// All keys that distinguish the formats. The keys of one format are read only when the format is known, so that a stray `id`
/// or `data` in another format does no harm.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Keys<'a> {
    #[serde(borrow, rename = "type")]
    job_type: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    payload: Option<&'a RawValue>,
    #[serde(borrow, rename = "schemaVersion")]
    version: Option<&'a RawValue>,
    #[serde(borrow, rename = "jobId")]
    job_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "idempotencyKey")]
    idempotency_key: Option<&'a RawValue>,
    #[serde(borrow, rename = "correlationId")]
    correlation_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "createdAt")]
    created_at: Option<&'a RawValue>,

    #[serde(borrow)]
    specversion: Option<&'a RawValue>,
    #[serde(borrow, rename = "Type")]
    sns_type: Option<&'a RawValue>,
    #[serde(borrow, rename = "TopicArn")]
    sns_topic: Option<&'a RawValue>,
    #[serde(borrow, rename = "detail-type")]
    detail_type: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(borrow, rename = "Records")]
    records: Option<&'a RawValue>,
    #[serde(borrow, rename = "Service")]
    service: Option<&'a RawValue>,
    #[serde(borrow, rename = "Event")]
    event: Option<&'a RawValue>,
    #[serde(borrow, rename = "Bucket")]
    bucket: Option<&'a RawValue>,
}

impl Keys<'_> {
    /// Returns true if this is the message that S3 sends once when a notification is set up. See
    /// [the test event](https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html).
    fn is_s3_test(&self) -> bool {
        let is = |value: Option<&RawValue>, text: &str| value.is_some_and(|value| value.get() == text);
        is(self.service, "\"Amazon S3\"") && is(self.event, "\"s3:TestEvent\"") && self.bucket.is_some()
    }
}

/// Reads `null` as a payload, for jobs that need none.
fn even_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Envelope {
    /// Decodes a message of a queue without separate settings; see [`Intake::decode`] for others.
    pub fn decode(message: &Message) -> Result<Self, InvalidPayload> {
        Intake::default().decode(message)
    }
}

impl Intake {
    /// Decodes a message with these rules.
    ///
    /// # Errors
    /// The reason why the message is not a job.
    pub fn decode(&self, message: &Message) -> Result<Envelope, InvalidPayload> {
        decode(self, message, self.default_type.as_deref())
    }

    /// As [`decode`](Self::decode), with a default type for queues that have none.
    pub(crate) fn decode_or(
        &self,
        message: &Message,
        default_type: &str,
    ) -> Result<Envelope, InvalidPayload> {
        decode(self, message, Some(self.default_type.as_deref().unwrap_or(default_type)))
    }
}

/// Decodes a message's body with the rules of its queue; a body without a type has the default one.
fn decode(
    intake: &Intake,
    message: &Message,
    default_type: Option<&str>,
) -> Result<Envelope, InvalidPayload> {
    let decoding = Decoding { intake, default_type, depth: 0 };
    decoding.open(&message.body, message.attribute(TYPE_ATTRIBUTE))
}

/// One level of envelopes.
#[derive(Clone, Copy)]
struct Decoding<'a> {
    intake: &'a Intake,
    /// The type of a body without one.
    default_type: Option<&'a str>,
    depth: u8,
}

impl Decoding<'_> {
    fn inside(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    /// Decodes a body; `given_type` is its type if the type is known from outside the body.
    fn open(self, body: &str, given_type: Option<&str>) -> Result<Envelope, InvalidPayload> {
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        let keys = match object(body) {
            Ok(keys) => keys,
            Err(error) => {
                return match given_type.or(self.default_type) {
                    Some(job_type) => Ok(raw(job_type, body)),
                    None => Err(not_a_job(body, &error)),
                };
            }
        };
        match given_type {
            Some(job_type) => self.open_as(job_type, &keys, body),
            None => self.open_by_itself(&keys, body),
        }
    }

    /// Opens a body only if it is an envelope of this type. Such an envelope must have no mistakes.
    fn open_as(self, job_type: &str, keys: &Keys<'_>, body: &str) -> Result<Envelope, InvalidPayload> {
        let own_type: Option<String> = filled("type", keys.job_type).unwrap_or_default();
        if let Some(own_type) = own_type.filter(|own_type| own_type == job_type) {
            if keys.specversion.is_some() {
                return cloud_event::read(body);
            }
            if keys.payload.is_some() {
                return native(own_type, keys);
            }
        }
        match self.open_by_itself(keys, body) {
            Ok(envelope) if envelope.job_type == job_type => Ok(envelope),
            Ok(_) | Err(_) => Ok(raw(job_type, body)),
        }
    }

    /// Decodes an object whose type is only in itself.
    fn open_by_itself(self, keys: &Keys<'_>, body: &str) -> Result<Envelope, InvalidPayload> {
        if self.depth < MAX_WRAPPINGS {
            if let (Some(kind), Some(_)) = (keys.sns_type, keys.sns_topic) {
                return self.sns(kind, body);
            }
            if let (Some(_), Some(detail)) = (keys.detail_type, keys.detail) {
                return self.event_bridge(detail, body);
            }
        }
        if keys.specversion.is_some() {
            return cloud_event::read(body);
        }
        let own_type = match (filled("type", keys.job_type), keys.payload) {
            (Ok(Some(own_type)), Some(_)) => return native(own_type, keys),
            (own_type, _) => own_type,
        };
        let names_nothing = keys.payload.is_none() && matches!(own_type, Ok(None));
        if names_nothing && keys.is_s3_test() {
            return Ok(Envelope { is_s3_test: true, ..Envelope::bare(S3_TEST_EVENT_TYPE, null()) });
        }
        let s3 = (names_nothing && keys.records.is_some()).then(|| self.s3(body));
        let error = match (s3, self.default_type, own_type) {
            (Some(Ok(envelope)), _, _) => return Ok(envelope),
            (_, Some(job_type), _) => return Ok(raw(job_type, body)),
            (Some(Err(error)), None, _) | (None, None, Err(error)) => error,
            (None, None, Ok(Some(_))) => {
                InvalidPayload("the envelope has a `type` but no `payload`".to_owned())
            }
            (None, None, Ok(None)) => InvalidPayload(
                "the body has no `type`, the message has no attribute `messageType`, and the queue has no \
                 default_type: it is not known which job this is"
                    .to_owned(),
            ),
        };
        Err(error)
    }

    fn sns(self, kind: &RawValue, body: &str) -> Result<Envelope, InvalidPayload> {
        let kind: String = text("Type", kind)?;
        let notification = aws_events::sns(&kind, body)?;
        let by_topic = || {
            let name = notification.topic_arn.rsplit(':').next();
            self.intake.event_type([notification.topic_arn.as_str()].into_iter().chain(name))
        };
        let given_type = notification.message_type().or_else(by_topic);
        let mut inner = self
            .inside()
            .open(&notification.message, given_type)
            .map_err(|e| InvalidPayload(format!("in the SNS notification: {e}")))?;
        // The notification's id survives a redrive of the SQS message; the SQS id does not.
        if inner.job_id.is_none() {
            inner.job_id = notification.message_id.map(Into::into);
        }
        if inner.source.is_none() && !notification.topic_arn.is_empty() {
            inner.source = Some(notification.topic_arn.into());
        }
        inner.is_replay |= notification.is_replay;
        for (name, attribute) in notification.attributes {
            inner.attributes.entry(name).or_insert(attribute);
        }
        Ok(inner)
    }

    fn event_bridge(self, detail: &RawValue, body: &str) -> Result<Envelope, InvalidPayload> {
        let frame = aws_events::event_bridge(body)?;
        let names = [frame.detail_type.as_str()].into_iter().chain(frame.source.as_deref());
        // An event has its own type, so the queue's default type does not apply.
        let detail_decoding = Self { default_type: None, ..self.inside() };
        let mut inner = match self.intake.event_type(names) {
            Some(job_type) => detail_decoding.open(detail.get(), Some(job_type))?,
            // A complete job on the bus is found in `detail`; any other event is a job whose type is its detail-type.
            None => match detail_decoding.open(detail.get(), None) {
                Ok(job) => job,
                Err(_) => Envelope::bare(frame.detail_type, detail.to_owned()),
            },
        };
        if inner.job_id.is_none() {
            inner.job_id = frame.id.map(Into::into);
        }
        if inner.source.is_none() {
            inner.source = frame.source.map(Into::into);
        }
        inner.created_at = inner.created_at.or(frame.time);
        inner.is_replay |= frame.is_replay;
        Ok(inner)
    }

    fn s3(self, body: &str) -> Result<Envelope, InvalidPayload> {
        let records = aws_events::s3(body)?;
        // A notification has only one bucket.
        let bucket = records.first().map(|record| record.bucket.clone());
        let job_type = self.intake.event_type(bucket.as_deref()).unwrap_or(S3_EVENT_TYPE);
        let payload = raw_value(&json!({ "records": records }));
        let source = bucket.filter(|bucket| !bucket.is_empty()).map(Into::into);
        Ok(Envelope { source, ..Envelope::bare(job_type, payload) })
    }
}

/// Reads the keys of a body that is a JSON object.
fn object(body: &str) -> Result<Keys<'_>, serde_json::Error> {
    // The keys hold raw values only, so that an object is read fast; any other value is an error.
    if body.trim_ascii_start().starts_with('{') { serde_json::from_str(body) } else { from_json(body) }
}

fn native(job_type: String, keys: &Keys<'_>) -> Result<Envelope, InvalidPayload> {
    let job_id = id("jobId", keys.job_id)?;
    let payload = keys.payload.map_or_else(null, ToOwned::to_owned);
    Ok(Envelope {
        version: keys.version.map(|version| field("schemaVersion", version)).transpose()?.unwrap_or(1),
        is_named: job_id.is_some(),
        job_id,
        idempotency_key: id("idempotencyKey", keys.idempotency_key)?,
        correlation_id: id("correlationId", keys.correlation_id)?,
        created_at: filled("createdAt", keys.created_at)?,
        ..Envelope::bare(job_type, payload)
    })
}

/// A body without a type: JSON stays JSON, any other text becomes a JSON string.
fn raw(job_type: &str, body: &str) -> Envelope {
    let payload = match RawValue::from_string(body.to_owned()) {
        Ok(json) => json,
        Err(_) => raw_value(&Value::String(body.to_owned())),
    };
    Envelope::bare(job_type, payload)
}

fn not_a_job(body: &str, error: &serde_json::Error) -> InvalidPayload {
    let hint = if body.trim_ascii_start().starts_with('{') {
        ""
    } else {
        " (a raw body needs the message attribute `messageType`, or a default_type of its queue)"
    };
    InvalidPayload(format!("the body is not a JSON object: {error}{hint}"))
}

#[cfg(test)]
#[path = "decoding_tests.rs"]
mod tests;
