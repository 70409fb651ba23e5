//! A job, as far as its message describes it: type, version, ids, and a payload that is still JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::message::sqs_message::{Attribute, text_of};

/// The message attribute with the job type. It takes precedence over the type in the body.
pub const TYPE_ATTRIBUTE: &str = "messageType";

/// The job type of an S3 event: the payload is `{"records":[{"event","bucket","key","size","etag","versionId"}]}`.
pub const S3_EVENT_TYPE: &str = "s3.event";

/// The job type of the message that S3 sends once when a notification is set up. Routers finish it without a handler.
pub const S3_TEST_EVENT_TYPE: &str = "s3.testEvent";

/// A job, decoded as far as its type allows: the payload is still JSON. Empty texts and nulls count as absent in all of it.
///
/// ```
/// use drumline::message::{Envelope, Message};
/// let body = r#"{"type":"email.send","schemaVersion":2,"jobId":"01J","payload":{"userId":7}}"#;
/// let envelope = Envelope::decode(&Message { body: body.into(), ..Message::default() })?;
/// assert_eq!((envelope.job_type.as_str(), envelope.version), ("email.send", 2));
/// # Ok::<(), drumline::message::InvalidPayload>(())
/// ```
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The job's type, which selects its handler.
    pub job_type: String,
    /// The payload's version; 1 if there is none.
    pub version: u32,
    /// The producer's id of the job, else the envelope's own id; hosts fall back to the message id.
    pub job_id: Option<Arc<str>>,
    /// The key for which the effect happens once; hosts fall back to the job id.
    pub idempotency_key: Option<Arc<str>>,
    /// The origin of the event: the `source` of a `CloudEvent` or an EventBridge event, an SNS topic's ARN, an S3 bucket.
    pub source: Option<Arc<str>>,
    /// The id that ties the job to the request that caused it.
    pub correlation_id: Option<String>,
    /// The time at which the producer made the job (RFC 3339, not checked).
    pub created_at: Option<String>,
    /// The attributes of an SNS notification, and the extensions of a `CloudEvent`.
    pub attributes: BTreeMap<String, Attribute>,
    /// True if the event comes from an archive's replay (SNS, EventBridge).
    pub is_replay: bool,
    /// True if it is S3's test event, which contains no work.
    pub(crate) is_s3_test: bool,
    /// True if the producer named the job, by `jobId` or a `CloudEvent`'s `id`; AWS's own ids are not the producer's.
    pub(crate) is_named: bool,
    /// The payload, as JSON text.
    pub payload: Box<RawValue>,
}

impl Envelope {
    /// Returns the text of an attribute that came inside the envelope: of an SNS notification, or a `CloudEvent`'s extension.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        text_of(&self.attributes, name)
    }

    /// An envelope with only a type and a payload.
    pub(crate) fn bare(job_type: impl Into<String>, payload: Box<RawValue>) -> Self {
        Self {
            job_type: job_type.into(),
            version: 1,
            job_id: None,
            idempotency_key: None,
            source: None,
            correlation_id: None,
            created_at: None,
            attributes: BTreeMap::new(),
            is_replay: false,
            is_s3_test: false,
            is_named: false,
            payload,
        }
    }
}
