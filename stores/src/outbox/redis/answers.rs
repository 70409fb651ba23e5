//! What scripts are given, and what they answer.

use ::redis::ScriptInvocation;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::outbox::added::Added;
use crate::outbox::conclusion::Conclusion;
use crate::outbox::job::{Due, OutboxJob};
use crate::outbox::rows::{OutboxRow, RowState};
use crate::outbox::taken::{Lease, TakenJob};
use crate::store::{StoreError, millis, to_json};

/// A taken job: its id, its text, how often it failed, and when it was added.
pub(super) type TakenReply = (String, String, u32, i64);

/// A job for people: its id, its text, and its row.
pub(super) type RowReply = (String, String, String);

/// A row, as the scripts keep it.
#[derive(Deserialize)]
struct Row {
    state: String,
    number: u64,
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

/// Adds the arguments of a job that a relay reports.
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
        _ => return Err(unreadable("answer")),
    })
}

pub(super) fn taken(
    (id, text, failures, added_ms): TakenReply,
    lease: Lease,
) -> Result<TakenJob, StoreError> {
    let taken = TakenJob::new(job(id, &text)?, lease, failures);
    Ok(TakenJob { added_ms: Some(added_ms), ..taken })
}

/// Returns a row, and its number in the order of adding.
pub(super) fn row((id, text, row): RowReply) -> Result<(u64, OutboxRow), StoreError> {
    let row: Row = read(&row, "row")?;
    let shown = OutboxRow {
        state: match row.state.as_str() {
            "waiting" => RowState::Waiting,
            "parked" => RowState::Parked,
            "sent" => RowState::Sent,
            _ => return Err(unreadable("state")),
        },
        sent_ms: row.sent,
        message_id: row.message,
        reason: row.reason,
        failures: row.failures,
        ..OutboxRow::waiting(job(id, &text)?, row.added, row.due.max(row.back))
    };
    Ok((row.number, shown))
}

/// The name of a state, for scripts.
pub(super) fn word(state: Option<RowState>) -> &'static str {
    match state {
        Some(RowState::Waiting) => "waiting",
        Some(RowState::Parked) => "parked",
        Some(RowState::Sent) => "sent",
        None => "all",
    }
}

/// A job that has replaced another one's text has that one's id.
fn job(id: String, text: &str) -> Result<OutboxJob, StoreError> {
    let job: OutboxJob = read(text, "job")?;
    Ok(OutboxJob { id, ..job })
}

fn read<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| unreadable(what))
}

/// Another program has written there, or a newer version of this.
fn unreadable(what: &str) -> StoreError {
    StoreError::Refused(format!("Redis holds a job of an outbox whose {what} cannot be read").into())
}
