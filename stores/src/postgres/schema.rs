//! The tables and functions, made where they are missing.

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Error, Row};

/// The schema of version 0.1. Locks are kept in it still, and workers of that version use all of it.
const FIRST: &str = include_str!("schema.sql");

/// The part that was added since.
const SECOND: &str = include_str!("schema_v2.sql");

/// The part that was added after that.
const THIRD: &str = include_str!("schema_v3.sql");

/// The part that jobs run without.
const FOURTH: &str = include_str!("schema_v4.sql");

/// Also for people who set the database up themselves.
pub const SCHEMA: &str = concat!(
    include_str!("schema.sql"),
    "\n",
    include_str!("schema_v2.sql"),
    "\n",
    include_str!("schema_v3.sql"),
    "\n",
    include_str!("schema_v4.sql")
);

/// Keeps two workers that start at once from making the same. An arbitrary number.
const ADVISORY_LOCK: i64 = 0x6472_756d_6c69_6e65;

/// Checks for what each part makes last.
const IS_THERE: &str = "SELECT to_regclass('drumline_attempts') IS NOT NULL
        AND to_regproc('drumline_surrender_v1') IS NOT NULL AS first,
    to_regclass('drumline_duplicates_v2') IS NOT NULL
        AND to_regproc('drumline_surrender_v2') IS NOT NULL AS second,
    to_regproc('drumline_surrender_v3') IS NOT NULL AS third,
    to_regproc('drumline_forget_v4') IS NOT NULL AS fourth";

/// The code of the error about a role that may not do this.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// The parts that jobs need, by their names in [`IS_THERE`].
const NEEDED: [(&str, &str); 3] = [("first", FIRST), ("second", SECOND), ("third", THIRD)];

/// Those that they do not need.
const FURTHER: [(&str, &str); 1] = [("fourth", FOURTH)];

/// Makes what is missing. A role that may make nothing gets along where nothing is missing that jobs need; one that may, where
/// another one has made the first part.
pub(super) async fn ensure(connection: &mut PgConnection) -> Result<(), Error> {
    make(connection, &NEEDED).await?;
    match make(connection, &FURTHER).await {
        Err(error) if is_forbidden(&error) => {
            tracing::info!(%error, "table of documents is missing: have a role that may create it run the schema");
            Ok(())
        }
        made => made,
    }
}

async fn make(connection: &mut PgConnection, parts: &[(&str, &'static str)]) -> Result<(), Error> {
    if missing(connection, parts).await?.is_empty() {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    // Tables that are made twice at the same time fail even with IF NOT EXISTS.
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(ADVISORY_LOCK).execute(&mut *transaction).await?;
    for part in missing(&mut transaction, parts).await? {
        sqlx::raw_sql(part).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

fn is_forbidden(error: &Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == INSUFFICIENT_PRIVILEGE)
}

/// Returns the parts that are not there.
async fn missing(
    connection: &mut PgConnection,
    parts: &[(&str, &'static str)],
) -> Result<Vec<&'static str>, Error> {
    // Not kept prepared: it is asked once.
    let row = sqlx::query(IS_THERE).persistent(false).fetch_one(connection).await?;
    let mut missing = Vec::new();
    for (name, part) in parts {
        if !row.try_get::<bool, _>(*name)? {
            missing.push(*part);
        }
    }
    Ok(missing)
}
