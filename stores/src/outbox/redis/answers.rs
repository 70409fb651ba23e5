//! The arguments and the results of scripts.

use ::redis::ScriptInvocation;
use serde::Deserialize;

use crate::outbox::added::Added;
use crate::outbox::conclusion::Conclusion;
use crate::outbox::job::{Due, OutboxJob};
use crate::outbox::rows::{OutboxRow, RowState};
use crate::outbox::taken::{Lease, TakenJob};
use crate::store::{StoreError, millis, to_json};

/// A taken job: its id, its text, the number of its failures, and the time when it was added.
pub(super) type TakenReply = (String, String, u32, i64);

/// A job for people: its id, its number in the order of adding, its text and its row.
pub(super) type RowReply = (String, u64, String, String);

/// A row in the scripts' format.
#[derive(Deserialize)]
struct Row {
    state: String,
    added: i64,
    due: i64,
    /// The time until which it was put back.
    #[serde(default)]
    back: i64,
    failures: u32,
    sent: Option<i64>,
    message: Option<String>,
    reason: Option<String>,
}

/// Adds the arguments of a job.
pub(super) fn add_job(call: &mut ScriptInvocation<'_>, job: &OutboxJob) {
    let (kind, time) = match job.due {
        Due::Now => ("after", 0),
        Due::After(after) => ("after", millis(after)),
        Due::AtMs(at) => ("at", at),
    };
    call.arg(&job.id).arg(to_json(job)).arg(optional(job.group.as_deref())).arg(kind).arg(time);
}

/// Returns an argument that may be absent.
pub(super) fn optional(text: Option<&str>) -> String {
    text.map(|text| format!("={text}")).unwrap_or_default()
}

/// Adds the arguments of a job's conclusion.
pub(super) fn add_conclusion(call: &mut ScriptInvocation<'_>, taken: &TakenJob, conclusion: &Conclusion) {
    call.arg(&taken.job.id).arg(&taken.lease.name).arg(taken.lease.fencing_token);
    match conclusion {
        Conclusion::Sent { message_id } => call.arg("sent").arg(message_id).arg(""),
        Conclusion::Parked { reason } => call.arg("parked").arg("").arg(reason),
        Conclusion::Later { after, is_failure, reason } => {
            let word = if *is_failure { "failed" } else { "later" };
            call.arg(word).arg(millis(*after)).arg(reason.as_deref().unwrap_or_default())
        }
    };
}

pub(super) fn added((word, id): (String, String)) -> Result<Added, StoreError> {
    Ok(match word.as_str() {
        "new" => Added::New,
        "waiting" => Added::Waiting { id },
        "sent" => Added::Sent { id },
        "replaced" => Added::Replaced { id },
        _ => return Err(StoreError::Refused(format!("unknown answer {word:?} about a unique job").into())),
    })
}

/// Returns a taken job, and a reason if it cannot be read.
pub(super) fn taken((id, text, failures, added_ms): TakenReply, lease: Lease) -> (TakenJob, Option<String>) {
    let (job, problem) = job(id, &text);
    (TakenJob { added_ms: Some(added_ms), ..TakenJob::new(job, lease, failures) }, problem)
}

/// Returns a row for people, or `None` if it cannot be read.
pub(super) fn row((id, _, text, row): RowReply) -> Option<OutboxRow> {
    let Some((row, state)) = read_row(&row) else {
        tracing::warn!(job_id = id, "a row of the outbox cannot be read, and is left out");
        return None;
    };
    let (job, problem) = job(id, &text);
    Some(OutboxRow {
        state,
        sent_ms: row.sent,
        message_id: row.message,
        reason: row.reason.or(problem),
        failures: row.failures,
        ..OutboxRow::waiting(job, row.added, row.due.max(row.back))
    })
}

fn read_row(text: &str) -> Option<(Row, RowState)> {
    let row: Row = serde_json::from_str(text).ok()?;
    let state = match row.state.as_str() {
        "waiting" => RowState::Waiting,
        "parked" => RowState::Parked,
        "sent" => RowState::Sent,
        _ => return None,
    };
    Some((row, state))
}

/// Returns the name of a state in the scripts.
pub(super) fn word(state: Option<RowState>) -> &'static str {
    match state {
        Some(RowState::Waiting) => "waiting",
        Some(RowState::Parked) => "parked",
        Some(RowState::Sent) => "sent",
        None => "all",
    }
}

/// Returns a job, and a reason if it cannot be read because another program or a newer version has written it. Its text then
/// replaces its payload. A job that has replaced another job's text has that job's id.
fn job(id: String, text: &str) -> (OutboxJob, Option<String>) {
    match serde_json::from_str::<OutboxJob>(text) {
        Ok(job) => (OutboxJob { id, ..job }, None),
        Err(error) => {
            let problem = format!("this version cannot read the job in Redis: {error}");
            (OutboxJob::new(id, "unreadable", to_json(&text)), Some(problem))
        }
    }
}
