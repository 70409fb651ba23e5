//! Adding jobs.

use std::time::Duration;

use serde::Serialize;
use sqlx::postgres::PgConnection;
use sqlx::{Error, Row};

use super::super::{Added, Due, OnConflict, OutboxJob, Unique, rules};
use super::missing::without_outbox;
use crate::postgres::connections::failed;
use crate::store::{StoreError, millis, to_json};

/// A job in the format of the schema's functions.
#[derive(Serialize)]
struct JobRow<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    job_type: &'a str,
    payload: &'a str,
    schema_version: u32,
    queue: Option<&'a str>,
    message_group: Option<&'a str>,
    idempotency_key: Option<&'a str>,
    correlation_id: Option<&'a str>,
    traceparent: Option<&'a str>,
    /// JSON as a text.
    message_attributes: String,
    after: Option<i64>,
    at: Option<i64>,
}

impl<'a> JobRow<'a> {
    fn of(job: &'a OutboxJob) -> Self {
        let (after, at) = match job.due {
            Due::Now => (None, None),
            Due::After(time) => (Some(millis(time)), None),
            Due::AtMs(time) => (None, Some(time.max(0))),
        };
        Self {
            id: &job.id,
            job_type: &job.job_type,
            payload: &job.payload,
            schema_version: job.schema_version,
            queue: job.queue.as_deref(),
            message_group: job.group.as_deref(),
            idempotency_key: job.idempotency_key.as_deref(),
            correlation_id: job.correlation_id.as_deref(),
            traceparent: job.traceparent.as_deref(),
            message_attributes: to_json(&job.attributes),
            after,
            at,
        }
    }
}

/// Returns jobs as a JSON array.
pub(crate) fn to_rows(jobs: &[OutboxJob]) -> Result<String, StoreError> {
    rules::check(jobs)?;
    Ok(to_json(&jobs.iter().map(JobRow::of).collect::<Vec<_>>()))
}

/// Adds jobs to the outbox within the caller's transaction, in one round trip: they are sent if and only if it is committed.
///
/// A job whose id is already known is not changed. The connection's `search_path` must find Drumline's tables and functions.
///
/// # Errors
///
/// Returns [`StoreError::Refused`] if a job cannot be stored: an id of more than 128 characters, a payload that is not JSON.
/// The transaction has then failed, as after any error of PostgreSQL, and must be rolled back.
pub async fn add_in(connection: &mut PgConnection, jobs: &[OutboxJob]) -> Result<(), StoreError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let rows = to_rows(jobs)?;
    add(connection, &rows).await.map_err(failed).map_err(without_outbox)
}

pub(super) async fn add(connection: &mut PgConnection, rows: &str) -> Result<(), Error> {
    sqlx::query("SELECT drumline_outbox_add_v1($1::text::json)").bind(rows).execute(connection).await?;
    Ok(())
}

pub(super) async fn add_unique(
    connection: &mut PgConnection,
    rows: &str,
    unique: &Unique,
) -> Result<Added, Error> {
    let (conflict, most) = match unique.on_conflict {
        OnConflict::Keep => ("keep", Duration::ZERO),
        OnConflict::Replace => ("replace", Duration::ZERO),
        OnConflict::Debounce { at_most } => ("debounce", at_most),
    };
    let call = sqlx::query(
        "SELECT answer, holder FROM drumline_outbox_add_unique_v1($1::text::json, $2, $3, $4, $5, $6)",
    );
    let call =
        call.bind(rows).bind(&unique.key).bind(millis(unique.window)).bind(conflict).bind(millis(most));
    let answer = call.bind(&unique.take_from).fetch_one(connection).await?;
    let holder = || -> Result<String, Error> { answer.try_get("holder") };
    match answer.try_get("answer")? {
        "new" => Ok(Added::New),
        "waiting" => Ok(Added::Waiting { id: holder()? }),
        "sent" => Ok(Added::Sent { id: holder()? }),
        "replaced" => Ok(Added::Replaced { id: holder()? }),
        other => Err(Error::Protocol(format!("unknown answer {other:?} about a unique job"))),
    }
}
