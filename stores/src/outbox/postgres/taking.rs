//! Taking jobs, under leases of buckets.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Error, Row};

use super::super::OutboxJob;
use super::in_hand::Skipped;
use super::job_rows;
use crate::store::millis;

/// A row that was taken.
pub(super) struct TakenRow {
    pub(super) job: OutboxJob,
    pub(super) added_ms: i64,
    pub(super) failures: u32,
    pub(super) position: i64,
    pub(super) bucket: i32,
    pub(super) turn: i32,
    pub(super) token: i64,
    /// The part of it that cannot be read, if there is one.
    pub(super) problem: Option<String>,
}

fn read(row: &PgRow) -> Result<TakenRow, Error> {
    let job_row = job_rows::read(row)?;
    Ok(TakenRow {
        job: job_row.job,
        added_ms: job_row.added_ms,
        failures: job_row.failures,
        position: row.try_get("place")?,
        bucket: row.try_get("bucket")?,
        turn: row.try_get("turn")?,
        token: row.try_get("token")?,
        problem: job_row.problem,
    })
}

pub(super) async fn take(
    connection: &mut PgConnection,
    relay: &str,
    max: usize,
    length: Duration,
    skipped: &Skipped,
) -> Result<Vec<TakenRow>, Error> {
    let call = sqlx::query("SELECT * FROM drumline_outbox_take_v1($1, $2, $3, $4, $5, $6)");
    let call = call.bind(relay).bind(i32::try_from(max).unwrap_or(i32::MAX)).bind(millis(length));
    let call = call.bind(&skipped.positions).bind(&skipped.groups).bind(&skipped.buckets);
    call.fetch_all(connection).await?.iter().map(read).collect()
}

/// Gives the buckets of a relay back.
pub(super) async fn leave(connection: &mut PgConnection, relay: &str) -> Result<(), Error> {
    // Its buckets are free once it is not among those that are alive.
    let call = sqlx::query(
        "WITH gone AS (DELETE FROM drumline_outbox_relays WHERE relay = $1 RETURNING relay)
        SELECT pg_notify('drumline_outbox', '') FROM gone",
    );
    call.bind(relay).execute(connection).await?;
    Ok(())
}

/// Returns the time until a job is due that is not due yet, if there is one.
pub(super) async fn next_due(connection: &mut PgConnection) -> Result<Option<Duration>, Error> {
    let call = sqlx::query(
        "SELECT ceil(extract(epoch FROM due - now()) * 1000)::bigint FROM drumline_outbox
        WHERE state = 'waiting' AND due > '-infinity' AND due > now() ORDER BY due LIMIT 1",
    );
    let Some(row) = call.fetch_optional(connection).await? else { return Ok(None) };
    let left: i64 = row.try_get(0)?;
    Ok(Some(Duration::from_millis(u64::try_from(left).unwrap_or_default())))
}
