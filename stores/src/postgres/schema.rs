//! The tables and functions, which are created if they are missing.

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Error, Row};

use crate::outbox::postgres::migration::MIGRATION as OUTBOX;
use crate::store::StoreError;

/// The schema of version 0.1. Locks are still kept in it, and workers of that version use all of it.
const FIRST: &str = include_str!("schema.sql");

/// The second part of the schema.
const SECOND: &str = include_str!("schema_v2.sql");

/// The third part of the schema.
const THIRD: &str = include_str!("schema_v3.sql");

/// The fourth part, which jobs do not need.
const FOURTH: &str = include_str!("schema_v4.sql");

/// The fifth part, which only shared rates need.
const FIFTH: &str = include_str!("schema_v5.sql");

/// The whole schema, for people who set up the database themselves.
pub const SCHEMA: &str = concat!(
    include_str!("schema.sql"),
    "\n",
    include_str!("schema_v2.sql"),
    "\n",
    include_str!("schema_v3.sql"),
    "\n",
    include_str!("schema_v4.sql"),
    "\n",
    include_str!("schema_v5.sql"),
    "\n",
    include_str!("../outbox/postgres/tables.sql"),
    "\n",
    include_str!("../outbox/postgres/adding.sql"),
    "\n",
    include_str!("../outbox/postgres/taking.sql")
);

/// The lock that prevents two starting workers from creating the same objects. An arbitrary number.
const ADVISORY_LOCK: i64 = 0x6472_756d_6c69_6e65;

/// Checks for the last object that each part creates.
const IS_THERE: &str = "SELECT to_regclass('drumline_attempts') IS NOT NULL
        AND to_regproc('drumline_surrender_v1') IS NOT NULL AS first,
    to_regclass('drumline_duplicates_v2') IS NOT NULL
        AND to_regproc('drumline_surrender_v2') IS NOT NULL AS second,
    to_regproc('drumline_surrender_v3') IS NOT NULL AS third,
    to_regproc('drumline_forget_v4') IS NOT NULL AS fourth,
    to_regproc('drumline_lease_tokens_v5') IS NOT NULL AS fifth,
    to_regproc('drumline_outbox_take_v1') IS NOT NULL AS outbox,
    to_regproc('drumline_outbox_finish_v1') IS NOT NULL AS finish";

/// Finds the rights on the outbox's tables that a relay needs and this role lacks.
const MISSING_RIGHTS: &str = "SELECT quote_ident(current_user) AS role, string_agg(missing, '; ' ORDER BY number) AS missing FROM (
        SELECT number, string_agg(privilege, ', ' ORDER BY place) || ' on ' || name AS missing
        FROM unnest(ARRAY['drumline_outbox', 'drumline_outbox_relays', 'drumline_outbox_buckets', 'drumline_outbox_states',
                'drumline_outbox_leases']) WITH ORDINALITY AS tables (name, number),
            unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS privileges (privilege, place)
        WHERE NOT coalesce(has_table_privilege(to_regclass(name)::oid, privilege), false)
        GROUP BY number, name
    ) AS of_tables";

/// The parts that jobs need, by their names in [`IS_THERE`].
const NEEDED: [(&str, &str); 3] = [("first", FIRST), ("second", SECOND), ("third", THIRD)];

/// The parts that jobs do not need.
const FURTHER: [(&str, &str); 3] = [("fourth", FOURTH), ("fifth", FIFTH), ("outbox", OUTBOX)];

/// Creates the missing parts. A role without the right to create can be used if no part that jobs need is missing; a role with
/// that right can be used even if another role has created the first part. Returns true if there is an outbox and the role has
/// the rights of a relay.
pub(super) async fn ensure(connection: &mut PgConnection) -> Result<bool, Error> {
    make(connection, &NEEDED).await?;
    for part in FURTHER {
        match make(connection, &[part]).await {
            // The role may lack the right, or the server may be older than the outbox requires.
            Err(error) if code_is_about_schema(&error) => {
                let part = part.0;
                tracing::info!(%error, part, "tables are missing: have a role that may create them run the schema");
            }
            made => made?,
        }
    }
    let has_functions = missing(connection, &[("finish", OUTBOX)]).await?.is_empty();
    Ok(has_functions && missing_rights(connection).await?.is_none())
}

/// Creates the outbox if it is missing.
pub(crate) async fn ensure_outbox(connection: &mut PgConnection) -> Result<(), Error> {
    make(connection, &[("outbox", OUTBOX)]).await
}

/// Returns a sentence about the rights that this role lacks to relay from the outbox, with the remedy.
pub(crate) async fn missing_rights(connection: &mut PgConnection) -> Result<Option<String>, Error> {
    let row = sqlx::query(MISSING_RIGHTS).persistent(false).fetch_one(connection).await?;
    let (role, missing): (String, Option<String>) = (row.try_get("role")?, row.try_get("missing")?);
    Ok(missing.map(|missing| {
        format!(
            "PostgreSQL: a relay's role needs more rights than {role} has. It lacks {missing}. Have the owner of the tables run: \
             GRANT SELECT, INSERT, UPDATE, DELETE ON drumline_outbox, drumline_outbox_relays, drumline_outbox_buckets, \
             drumline_outbox_states, drumline_outbox_leases TO {role}"
        )
    }))
}

/// Creates the missing parts of the outbox.
pub(crate) async fn migrate_outbox(connection: &mut PgConnection) -> Result<(), Error> {
    let mut transaction = connection.begin().await?;
    lock(&mut transaction).await?;
    sqlx::raw_sql(OUTBOX).execute(&mut *transaction).await?;
    transaction.commit().await
}

async fn make(connection: &mut PgConnection, parts: &[(&str, &'static str)]) -> Result<(), Error> {
    if missing(connection, parts).await?.is_empty() {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    lock(&mut transaction).await?;
    for part in missing(&mut transaction, parts).await? {
        sqlx::raw_sql(part).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

/// Creating a table twice at the same time fails even with IF NOT EXISTS. The lock timeouts are short: a change of a table
/// waits for the transactions that have used it, and all other transactions wait behind it.
async fn lock(transaction: &mut PgConnection) -> Result<(), Error> {
    sqlx::raw_sql("SET LOCAL lock_timeout = '2s'").execute(&mut *transaction).await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(ADVISORY_LOCK).execute(transaction).await?;
    Ok(())
}

/// Returns true if a table or function is missing, or the role may not use or create it.
pub(crate) fn is_about_schema(error: &StoreError) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Error>());
    source.is_some_and(code_is_about_schema)
}

fn code_is_about_schema(error: &Error) -> bool {
    // Class 42: an undefined table or function, or insufficient privileges.
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| matches!(&*code, "42P01" | "42883" | "42501"))
}

/// Returns the missing parts.
async fn missing(
    connection: &mut PgConnection,
    parts: &[(&str, &'static str)],
) -> Result<Vec<&'static str>, Error> {
    // Not kept prepared, because it runs once.
    let row = sqlx::query(IS_THERE).persistent(false).fetch_one(connection).await?;
    let mut missing = Vec::new();
    for (name, part) in parts {
        if !row.try_get::<bool, _>(*name)? {
            missing.push(*part);
        }
    }
    Ok(missing)
}
