//! A new job as a message body: the native envelope.

use serde::Serialize;
use serde_json::value::RawValue;

/// A job to send: the native envelope.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewJob<'a> {
    /// The job's id: new for every job.
    pub job_id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub job_type: &'a str,
    /// The version of the payload's schema.
    pub schema_version: u32,
    /// The idempotency key; by default the job's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<&'a str>,
    /// An id that related jobs share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<&'a str>,
    /// The time of its creation, in the format of RFC 3339.
    pub created_at: String,
    /// Its payload.
    pub payload: &'a RawValue,
}

impl<'a> NewJob<'a> {
    /// Returns a job with a new id, created now.
    pub fn new(job_type: &'a str, payload: &'a RawValue) -> Self {
        Self {
            job_id: ulid::Ulid::generate().to_string(),
            job_type,
            schema_version: 1,
            idempotency_key: None,
            correlation_id: None,
            created_at: jiff::Timestamp::now().to_string(),
            payload,
        }
    }

    /// Returns the message body.
    pub fn to_body(&self) -> String {
        serde_json::to_string(self).expect("texts, numbers and JSON are JSON")
    }
}
