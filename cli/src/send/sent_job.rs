//! A job that was sent, for programs.

use serde::Serialize;

/// A job that was sent or waits, on one line of JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SentJob<'a> {
    pub(super) job_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message_id: Option<&'a str>,
    #[serde(rename = "type")]
    pub(super) job_type: &'a str,
    pub(super) queue: &'a str,
    /// The time at which it is sent, if it waits for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) due: Option<String>,
    /// The state of the job that was there already, in place of which nothing was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) existing: Option<&'static str>,
}
