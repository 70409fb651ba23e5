//! The JSON view of a job that was sent.

use serde::Serialize;

/// A job that was sent or waits, as one line of JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SentJob<'a> {
    pub(super) job_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message_id: Option<&'a str>,
    #[serde(rename = "type")]
    pub(super) job_type: &'a str,
    pub(super) queue: &'a str,
    /// The time when the job is sent, if it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) due: Option<String>,
    /// The state of the existing job, if that prevented the addition of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) existing: Option<&'static str>,
}
