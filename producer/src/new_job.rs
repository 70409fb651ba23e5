//! The sending side: a job becomes a message that SQS will take and a consumer will understand, or is refused with
//! words before anything is sent.

mod check;
mod pack;
mod send;

use serde::Serialize;
use serde_json::value::RawValue;

pub(crate) use check::check;
pub(crate) use pack::{Outgoing, Packer};
pub(crate) use send::{SendOptions, send_batch};

/// A job to send: the native envelope.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewJob<'a> {
    pub(crate) job_id: String,
    #[serde(rename = "type")]
    pub(crate) job_type: &'a str,
    pub(crate) schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) correlation_id: Option<&'a str>,
    pub(crate) created_at: String,
    pub(crate) payload: &'a RawValue,
}

impl<'a> NewJob<'a> {
    /// A job of now, with a new id.
    pub(crate) fn new(job_type: &'a str, payload: &'a RawValue) -> Self {
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

    /// The message body.
    pub(crate) fn to_body(&self) -> String {
        serde_json::to_string(self).expect("texts, numbers and JSON are JSON")
    }
}
