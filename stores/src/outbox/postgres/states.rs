//! Named states, and named leases.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Error, Row};

use crate::store::millis;

pub(super) async fn states(connection: &mut PgConnection) -> Result<Vec<(String, String)>, Error> {
    let call = sqlx::query("SELECT name, value FROM drumline_outbox_states ORDER BY name");
    let rows = call.fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

pub(super) async fn change(
    connection: &mut PgConnection,
    name: &str,
    before: Option<&str>,
    after: Option<&str>,
    rows: &str,
) -> Result<bool, Error> {
    let call = sqlx::query("SELECT drumline_outbox_change_v1($1, $2, $3, $4::text::json)");
    call.bind(name).bind(before).bind(after).bind(rows).fetch_one(connection).await?.try_get(0)
}

/// Returns the token of the lease if the owner holds it now.
pub(super) async fn lead(
    connection: &mut PgConnection,
    name: &str,
    owner: &str,
    length: Duration,
) -> Result<Option<i64>, Error> {
    let call = sqlx::query(
        "INSERT INTO drumline_outbox_leases AS lease (name, owner, token, until)
        VALUES ($1, $2, 1, drumline_outbox_after_v1($3))
        ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = drumline_outbox_after_v1($3),
            token = lease.token + (lease.owner <> excluded.owner OR lease.until <= clock_timestamp())::integer
        WHERE lease.owner = excluded.owner OR lease.until <= clock_timestamp()
        RETURNING token",
    );
    let row = call.bind(name).bind(owner).bind(millis(length)).fetch_optional(connection).await?;
    row.map(|row| row.try_get(0)).transpose()
}
