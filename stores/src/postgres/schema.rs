//! The tables and functions, made where they are missing.

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Error, Row};

/// Also for people who set the database up themselves.
pub const SCHEMA: &str = include_str!("schema.sql");

/// What two workers that start at once must not make both. An arbitrary number.
const ADVISORY_LOCK: i64 = 0x6472_756d_6c69_6e65;

/// What the schema makes last, and so whether it is there.
const IS_THERE: &str = "SELECT to_regclass('drumline_attempts') IS NOT NULL
    AND to_regproc('drumline_surrender_v1') IS NOT NULL";

/// Makes what is missing. A role that may make nothing gets along where nothing is missing.
pub(super) async fn ensure(connection: &mut PgConnection) -> Result<(), Error> {
    if is_there(connection).await? {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    // Tables that are made twice at the same time fail even with IF NOT EXISTS.
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(ADVISORY_LOCK).execute(&mut *transaction).await?;
    if !is_there(&mut transaction).await? {
        sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

async fn is_there(connection: &mut PgConnection) -> Result<bool, Error> {
    // Not kept prepared: it is asked once.
    sqlx::query(IS_THERE).persistent(false).fetch_one(connection).await?.try_get(0)
}
