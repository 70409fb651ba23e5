//! Takes jobs under leases of buckets.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Error, Row};

use super::in_hand::Skipped;
use super::taken_row::TakenRow;
use crate::store::millis;

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
    call.fetch_all(connection).await?.iter().map(TakenRow::read).collect()
}

/// Releases the buckets of a relay.
pub(super) async fn leave(connection: &mut PgConnection, relay: &str) -> Result<(), Error> {
    // Its buckets are free when it is no longer among the living relays.
    let call = sqlx::query(
        "WITH gone AS (DELETE FROM drumline_outbox_relays WHERE relay = $1 RETURNING relay)
        SELECT pg_notify('drumline_outbox', '') FROM gone",
    );
    call.bind(relay).execute(connection).await?;
    Ok(())
}

/// Returns the time until the next job is due, if there is one.
pub(super) async fn next_due(connection: &mut PgConnection) -> Result<Option<Duration>, Error> {
    let call = sqlx::query(
        "SELECT ceil(extract(epoch FROM due - now()) * 1000)::bigint FROM drumline_outbox
        WHERE state = 'waiting' AND due > '-infinity' AND due > now() ORDER BY due LIMIT 1",
    );
    let Some(row) = call.fetch_optional(connection).await? else { return Ok(None) };
    let left: i64 = row.try_get(0)?;
    Ok(Some(Duration::from_millis(u64::try_from(left).unwrap_or_default())))
}
