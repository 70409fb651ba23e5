//! Operators' requests to the outbox.

use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Error, Row};

use super::super::{Lag, OutboxRow, RowState, Rows};
use super::job_rows;

/// Counts with the help of the indexes, so that the time is limited: up to a million due jobs, and up to 100,000 jobs that are
/// due later; beyond these, the number comes from the table's statistics. The oldest job is found with the indexes, too.
const LAG: &str = "WITH counted AS MATERIALIZED (
        SELECT
            (SELECT count(*) FROM (SELECT FROM drumline_outbox
                WHERE state = 'waiting' AND due = '-infinity' LIMIT 1000000) AS a) AS at_once,
            (SELECT count(*) FROM (SELECT FROM drumline_outbox
                WHERE state = 'waiting' AND due > '-infinity' AND due <= now() LIMIT 1000000) AS a) AS timed,
            (SELECT count(*) FROM (SELECT FROM drumline_outbox
                WHERE state = 'waiting' AND due_since IS NOT NULL AND due > now() LIMIT 1000000) AS a) AS put_back,
            (SELECT count(*) FROM (SELECT FROM drumline_outbox
                WHERE state = 'waiting' AND due > '-infinity' AND due > now() LIMIT 100000) AS a) AS future,
            (SELECT count(*) FROM (SELECT FROM drumline_outbox WHERE state = 'parked' LIMIT 1000000) AS a) AS parked
    )
    SELECT at_once + timed + put_back AS due, parked,
        CASE WHEN future < 100000 THEN greatest(future - put_back, 0) ELSE greatest(future,
            (SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass('drumline_outbox_timed'))) END AS later,
        greatest(0, extract(epoch FROM now() - least(
            (SELECT added FROM drumline_outbox WHERE state = 'waiting' AND due = '-infinity' ORDER BY position LIMIT 1),
            (SELECT greatest(due, added) FROM drumline_outbox
                WHERE state = 'waiting' AND due > '-infinity' AND due <= now() ORDER BY due LIMIT 1),
            (SELECT min(due_since) FROM (SELECT due_since FROM drumline_outbox
                WHERE state = 'waiting' AND due_since IS NOT NULL LIMIT 1000000) AS a)
        )) * 1000)::bigint AS oldest
    FROM counted";

pub(super) async fn lag(connection: &mut PgConnection) -> Result<Lag, Error> {
    let row = sqlx::query(LAG).fetch_one(connection).await?;
    let count = |name: &str| -> Result<u64, Error> { Ok(row.try_get::<i64, _>(name)?.unsigned_abs()) };
    let oldest = row.try_get::<Option<i64>, _>("oldest")?.unwrap_or_default();
    Ok(Lag {
        due: count("due")?,
        oldest: Duration::from_millis(oldest.unsigned_abs()),
        later: count("later")?,
        parked: count("parked")?,
    })
}

pub(super) async fn rows(connection: &mut PgConnection, rows: &Rows) -> Result<Vec<OutboxRow>, Error> {
    // A separate statement for each state, because some indexes contain only rows of one state.
    let of_state = match rows.state {
        None => "",
        Some(RowState::Waiting) => "AND state = 'waiting'",
        Some(RowState::Parked) => "AND state = 'parked'",
        Some(RowState::Sent) => "AND state = 'sent'",
    };
    let of_ids = if rows.ids.is_some() { "AND id = ANY($2)" } else { "AND $2::text[] IS NULL" };
    let columns = job_rows::COLUMNS;
    let sql = format!(
        "SELECT {columns}, state, floor(extract(epoch FROM sent) * 1000)::bigint AS sent, message_id, reason
        FROM drumline_outbox WHERE true {of_state} {of_ids} ORDER BY position LIMIT $1"
    );
    let limit = i64::try_from(rows.limit).unwrap_or(i64::MAX);
    let call = sqlx::query(AssertSqlSafe(sql)).bind(limit).bind(&rows.ids);
    call.fetch_all(connection).await?.iter().map(read).collect()
}

fn read(row: &PgRow) -> Result<OutboxRow, Error> {
    let job_row = job_rows::read(row)?;
    let due: Option<i64> = row.try_get("due")?;
    Ok(OutboxRow {
        state: match row.try_get("state")? {
            "waiting" => RowState::Waiting,
            "parked" => RowState::Parked,
            "sent" => RowState::Sent,
            other => return Err(Error::Protocol(format!("unknown state {other:?} of a job"))),
        },
        added_ms: job_row.added_ms,
        due_ms: due.unwrap_or(job_row.added_ms),
        sent_ms: row.try_get("sent")?,
        message_id: row.try_get("message_id")?,
        reason: row.try_get("reason")?,
        failures: job_row.failures,
        job: job_row.job,
    })
}

pub(super) async fn retry(connection: &mut PgConnection, ids: &[String]) -> Result<usize, Error> {
    let call = sqlx::query(
        "WITH retried AS (
            UPDATE drumline_outbox SET state = 'waiting', reason = NULL, failures = 0, turn = turn + 1, due = '-infinity',
                due_since = NULL
            WHERE id = ANY($1) AND state = 'parked' RETURNING id
        )
        SELECT count(*), pg_notify('drumline_outbox', '') FROM retried",
    );
    number(call.bind(ids).fetch_one(connection).await?.try_get(0)?)
}

pub(super) async fn remove(connection: &mut PgConnection, ids: &[String]) -> Result<usize, Error> {
    let call =
        sqlx::query("DELETE FROM drumline_outbox WHERE id = ANY($1) AND state IN ('waiting', 'parked')");
    let removed = call.bind(ids).execute(connection).await?.rows_affected();
    Ok(usize::try_from(removed).unwrap_or(usize::MAX))
}

pub(super) async fn now_ms(connection: &mut PgConnection) -> Result<i64, Error> {
    let call = sqlx::query("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint");
    call.fetch_one(connection).await?.try_get(0)
}

fn number(count: i64) -> Result<usize, Error> {
    usize::try_from(count).map_err(|_| Error::Protocol("a count is negative".to_owned()))
}
