//! From a message's body to a job's type, version and payload.
//!
//! Understood are the native envelope, [CloudEvents 1.0](https://github.com/cloudevents/spec) JSON, and a raw body
//! with the message attribute `messageType`. Around any of these may be an SNS notification or an EventBridge
//! event; S3's own events are understood too. Whatever else a body holds is undecodable, never a crash.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::message::Message;
use crate::unwrapping;

/// The message attribute that names the job type of a raw body.
pub const TYPE_ATTRIBUTE: &str = "messageType";

/// The job type of an S3 event: the payload is `{"records":[{"event","bucket","key","size","etag","versionId"}]}`.
pub const S3_EVENT_TYPE: &str = "s3.event";

/// The job type of the message that S3 sends once when a notification is set up. Routers finish it by themselves.
pub const S3_TEST_EVENT_TYPE: &str = "s3.testEvent";

/// Envelopes around envelopes are opened this deep: S3 in EventBridge in SNS is the deepest that AWS makes.
const MAX_WRAPPINGS: u8 = 3;

/// A job, decoded as far as its type allows: the payload is still JSON.
///
/// ```
/// use drumline::{Envelope, Message};
/// let body = r#"{"type":"email.send","schemaVersion":2,"jobId":"01J","payload":{"userId":7}}"#;
/// let envelope = Envelope::decode(&Message { body: body.into(), ..Message::default() })?;
/// assert_eq!((envelope.job_type.as_str(), envelope.version), ("email.send", 2));
/// # Ok::<(), drumline::Undecodable>(())
/// ```
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Which handler it is for.
    pub job_type: String,
    /// The payload's version; 1 where none is said.
    pub version: u32,
    /// The producer's id of the job; hosts fall back to the message id.
    pub job_id: Option<Arc<str>>,
    /// Under which key the effect happens once; hosts fall back to the job id.
    pub idempotency_key: Option<Arc<str>>,
    /// What ties the job to the request that caused it.
    pub correlation_id: Option<String>,
    /// When the producer made the job (RFC 3339, not checked).
    pub created_at: Option<String>,
    /// The payload, as JSON text.
    pub payload: Box<RawValue>,
}

/// Why a body is not a job: said in the words of whoever has to mend the producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable(pub(crate) String);

impl std::fmt::Display for Undecodable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Undecodable {}

/// All keys by which the formats are told apart. What belongs to one format only is read when that one is known,
/// so that a stray `id` or `data` in another format does no harm.
#[derive(Deserialize)]
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
    #[serde(borrow, rename = "Event")]
    s3_test: Option<&'a RawValue>,
}

/// A payload of `null` is a payload, for jobs that need none.
fn even_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct CloudEvent<'a> {
    specversion: String,
    #[serde(rename = "type")]
    job_type: String,
    id: String,
    time: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
    // Extension attributes are lower case by the specification.
    schemaversion: Option<u32>,
    idempotencykey: Option<String>,
    correlationid: Option<String>,
}

impl Envelope {
    /// Decodes a message's body.
    pub fn decode(message: &Message) -> Result<Self, Undecodable> {
        Self::open(&message.body, message.attribute(TYPE_ATTRIBUTE), 0)
    }

    fn open(body: &str, raw_type: Option<&str>, depth: u8) -> Result<Self, Undecodable> {
        let keys: Keys<'_> = match (serde_json::from_str(body), raw_type) {
            (Ok(keys), _) => keys,
            (Err(_), Some(raw_type)) => return Ok(Self::raw(raw_type, body)),
            (Err(error), None) => return Err(not_a_job(body, &error)),
        };
        if depth < MAX_WRAPPINGS {
            if let (Some(kind), Some(_)) = (keys.sns_type, keys.sns_topic) {
                return Self::sns(kind, body, depth);
            }
            if let (Some(detail_type), Some(detail)) = (keys.detail_type, keys.detail) {
                return Self::event_bridge(detail_type, detail, body, depth);
            }
        }
        if keys.specversion.is_some() {
            return Self::cloud_event(body);
        }
        match (keys.job_type, keys.payload) {
            (Some(job_type), Some(payload)) => Self::native(&keys, job_type, payload),
            (_, _) if raw_type.is_some_and(|t| !t.is_empty()) => {
                Ok(Self::raw(raw_type.unwrap_or_default(), body))
            }
            (None, None) if keys.records.is_some() => Self::s3(body),
            (None, None) if keys.s3_test.is_some_and(|e| e.get() == "\"s3:TestEvent\"") => {
                Ok(Self::bare(S3_TEST_EVENT_TYPE.to_owned(), null()))
            }
            (Some(_), None) => Err(Undecodable("the envelope has a `type` but no `payload`".to_owned())),
            (None, _) => Err(Undecodable(
                "no `type` in the body, and no message attribute `messageType`: no telling what job this is"
                    .to_owned(),
            )),
        }
    }

    fn native(keys: &Keys<'_>, job_type: &RawValue, payload: &RawValue) -> Result<Self, Undecodable> {
        let job_type: String = text("type", job_type)?;
        if job_type.is_empty() {
            return Err(Undecodable("the envelope's `type` is empty".to_owned()));
        }
        Ok(Self {
            job_type,
            version: optional("schemaVersion", keys.version, field)?.unwrap_or(1),
            job_id: optional("jobId", keys.job_id, text)?,
            idempotency_key: optional("idempotencyKey", keys.idempotency_key, text)?,
            correlation_id: optional("correlationId", keys.correlation_id, text)?,
            created_at: optional("createdAt", keys.created_at, text)?,
            payload: payload.to_owned(),
        })
    }

    fn cloud_event(body: &str) -> Result<Self, Undecodable> {
        let event: CloudEvent<'_> =
            serde_json::from_str(body).map_err(|e| Undecodable(format!("not a CloudEvent: {e}")))?;
        if !event.specversion.starts_with("1.") {
            return Err(Undecodable(format!("CloudEvents {} is not supported, only 1.0", event.specversion)));
        }
        // Binary data stays the base64 text that it is; the job type says what is in it.
        let payload = match (event.data, event.data_base64) {
            (Some(data), _) => data.to_owned(),
            (None, Some(base64)) => raw_value(&Value::String(base64)),
            (None, None) => null(),
        };
        Ok(Self {
            job_type: event.job_type,
            version: event.schemaversion.unwrap_or(1),
            job_id: Some(event.id.into()),
            idempotency_key: event.idempotencykey.map(Arc::from),
            correlation_id: event.correlationid,
            created_at: event.time,
            payload,
        })
    }

    /// A body that says nothing about itself: JSON stays JSON, anything else becomes a JSON string.
    fn raw(job_type: &str, body: &str) -> Self {
        let payload = match RawValue::from_string(body.to_owned()) {
            Ok(json) => json,
            Err(_) => raw_value(&Value::String(body.to_owned())),
        };
        Self::bare(job_type.to_owned(), payload)
    }

    fn sns(kind: &RawValue, body: &str, depth: u8) -> Result<Self, Undecodable> {
        let kind: String = text("Type", kind)?;
        let notification = unwrapping::sns(&kind, body)?;
        let mut inner = Self::open(&notification.message, notification.message_type(), depth + 1)
            .map_err(|e| Undecodable(format!("in the SNS notification: {e}")))?;
        // The notification's id survives a redrive of the SQS message; the SQS id does not.
        inner.job_id.get_or_insert_with(|| notification.message_id.into());
        Ok(inner)
    }

    fn event_bridge(kind: &RawValue, detail: &RawValue, body: &str, depth: u8) -> Result<Self, Undecodable> {
        let frame = unwrapping::event_bridge(body)?;
        // A job put on the bus whole is found in `detail`; any other event is a job named by its detail-type.
        let mut inner = match Self::open(detail.get(), None, depth + 1) {
            Ok(job) => job,
            Err(_) => Self::bare(text("detail-type", kind)?, detail.to_owned()),
        };
        inner.job_id.get_or_insert_with(|| frame.id.into());
        inner.created_at = inner.created_at.or(frame.time);
        Ok(inner)
    }

    fn s3(body: &str) -> Result<Self, Undecodable> {
        let records = unwrapping::s3(body)?;
        Ok(Self::bare(S3_EVENT_TYPE.to_owned(), raw_value(&json!({ "records": records }))))
    }

    fn bare(job_type: String, payload: Box<RawValue>) -> Self {
        Self {
            job_type,
            version: 1,
            job_id: None,
            idempotency_key: None,
            correlation_id: None,
            created_at: None,
            payload,
        }
    }
}

fn not_a_job(body: &str, error: &serde_json::Error) -> Undecodable {
    let hint = if body.trim_start().starts_with('{') {
        ""
    } else {
        " (a raw body needs the message attribute `messageType`)"
    };
    Undecodable(format!("the body is not a JSON object: {error}{hint}"))
}

fn field<'a, T: Deserialize<'a>>(name: &str, value: &'a RawValue) -> Result<T, Undecodable> {
    serde_json::from_str(value.get()).map_err(|e| Undecodable(format!("the envelope's `{name}`: {e}")))
}

/// As [`field`], of a text: hardly any has an escape in it, and the others are what they look like.
fn text<T: for<'t> From<&'t str>>(name: &str, value: &RawValue) -> Result<T, Undecodable> {
    let quoted = value.get().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match quoted.filter(|text| !text.contains('\\')) {
        Some(text) => Ok(text.into()),
        None => field::<String>(name, value).map(|text| text.as_str().into()),
    }
}

/// A missing field and one that is `null` are the same to most producers' languages.
fn optional<'a, T>(
    name: &str,
    value: Option<&'a RawValue>,
    read: impl FnOnce(&str, &'a RawValue) -> Result<T, Undecodable>,
) -> Result<Option<T>, Undecodable> {
    value.map(|value| read(name, value)).transpose()
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

fn raw_value(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("a JSON value is always JSON text")
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
