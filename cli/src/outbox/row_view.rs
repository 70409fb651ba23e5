//! The views of an outbox job.

use std::collections::BTreeMap;

use clap::ValueEnum;
use drumline_store::outbox::{OutboxRow, RowState};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::format::rfc3339;

/// The states by which jobs can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StateArg {
    Waiting,
    Parked,
    Sent,
}

impl From<StateArg> for RowState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Waiting => Self::Waiting,
            StateArg::Parked => Self::Parked,
            StateArg::Sent => Self::Sent,
        }
    }
}

/// Returns the label of a state.
pub(super) fn label(state: RowState) -> &'static str {
    match state {
        RowState::Waiting => "waiting",
        RowState::Parked => "parked",
        RowState::Sent => "sent",
    }
}

/// Converts a time of the outbox, which is never before 1970.
pub(super) fn millis_of(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or_default()
}

/// A job as one line of JSON, without its payload.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RowView<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    job_type: &'a str,
    schema_version: u32,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    failures: u32,
    added_at: String,
    due_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
}

impl<'a> From<&'a OutboxRow> for RowView<'a> {
    fn from(row: &'a OutboxRow) -> Self {
        let job = &row.job;
        let at = |ms: i64| rfc3339(millis_of(ms));
        Self {
            id: &job.id,
            job_type: &job.job_type,
            schema_version: job.schema_version,
            state: label(row.state),
            reason: row.reason.as_deref(),
            failures: row.failures,
            added_at: at(row.added_ms),
            due_at: at(row.due_ms),
            sent_at: row.sent_ms.map(at),
            message_id: row.message_id.as_deref(),
            queue: job.queue.as_deref(),
            group: job.group.as_deref(),
            idempotency_key: job.idempotency_key.as_deref(),
            correlation_id: job.correlation_id.as_deref(),
        }
    }
}

/// A job with all its fields.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WholeRow<'a> {
    #[serde(flatten)]
    view: RowView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: &'a BTreeMap<String, String>,
    payload: Payload<'a>,
}

/// The payload as JSON, or as a text if it is not valid JSON: then its job is parked.
#[derive(Serialize)]
#[serde(untagged)]
enum Payload<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

impl<'a> From<&'a OutboxRow> for WholeRow<'a> {
    fn from(row: &'a OutboxRow) -> Self {
        let text = row.job.payload.as_str();
        Self {
            view: row.into(),
            traceparent: row.job.traceparent.as_deref(),
            attributes: &row.job.attributes,
            payload: serde_json::from_str(text).map_or(Payload::Text(text), Payload::Json),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline_store::outbox::OutboxJob;

    use super::*;

    #[test]
    fn a_job_is_json_with_its_payload_as_it_is() {
        let mut job = OutboxJob::new("j-1", "email.send", r#"{"n":12345678901234567890.10}"#);
        job.group = Some("ada".to_owned());
        let mut row = OutboxRow::waiting(job, 1_700_000_000_000, 1_700_000_060_000);
        let text = serde_json::to_string(&WholeRow::from(&row)).unwrap();
        let expected = r#"{"id":"j-1","type":"email.send","schemaVersion":1,"state":"waiting","failures":0,"addedAt":"2023-11-14T22:13:20Z","dueAt":"2023-11-14T22:14:20Z","group":"ada","payload":{"n":12345678901234567890.10}}"#;
        assert_eq!(text, expected);
        row.job.payload = "{broken".to_owned();
        row.state = RowState::Parked;
        row.reason = Some("the payload is no JSON".to_owned());
        let text = serde_json::to_string(&WholeRow::from(&row)).unwrap();
        assert!(text.contains(r#""state":"parked","reason":"the payload is no JSON""#), "{text}");
        assert!(text.ends_with(r#""payload":"{broken"}"#), "{text}");
    }

    #[test]
    fn each_state_has_its_word() {
        for state in StateArg::value_variants() {
            assert_eq!(state.to_possible_value().unwrap().get_name(), label((*state).into()));
        }
    }
}
