//! The statements about documents and about deleting records of done jobs: jobs run without this part of the schema.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Error, Row};

use super::schema::is_about_schema;
use super::statements::unreadable;
use super::text::writable;
use crate::document::{Document, MAX_DOCUMENTS};
use crate::forgotten::Forgotten;
use crate::store::{Retention, StoreError, StoreErrorText, millis};

pub(super) async fn forget(
    connection: &mut PgConnection,
    key: &str,
    keep: Retention,
) -> Result<Forgotten, Error> {
    let call =
        sqlx::query("SELECT drumline_forget_v4($1, $2)").bind(writable(key)).bind(millis(keep.history));
    match call.fetch_one(connection).await?.try_get(0)? {
        "done" => Ok(Forgotten::Done),
        "not done" => Ok(Forgotten::NotDone),
        "running" => Ok(Forgotten::Running),
        "absent" => Ok(Forgotten::Absent),
        _ => Err(unreadable("state")),
    }
}

pub(super) async fn get(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
) -> Result<Option<String>, Error> {
    let sql =
        "SELECT value FROM drumline_documents WHERE kind = $1 AND name = $2 AND expires > clock_timestamp()";
    let row = sqlx::query(sql).bind(kind).bind(name).fetch_optional(connection).await?;
    row.map(|row| row.try_get(0)).transpose()
}

pub(super) async fn list(connection: &mut PgConnection, kind: &str) -> Result<Vec<Document>, Error> {
    let call = sqlx::query(
        "SELECT name, value FROM drumline_documents WHERE kind = $1 AND expires > clock_timestamp()
        ORDER BY changed DESC LIMIT $2",
    );
    let rows = call.bind(kind).bind(most()).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(Document { name: row.try_get(0)?, text: row.try_get(1)? })).collect()
}

pub(super) async fn put(
    connection: &mut PgConnection,
    kind: &str,
    document: &Document,
    before: Option<&str>,
    keep: Duration,
) -> Result<bool, Error> {
    let call = sqlx::query("SELECT drumline_put_document_v4($1, $2, $3, $4, $5, $6)");
    let call = call.bind(kind).bind(&document.name).bind(before).bind(&document.text);
    call.bind(millis(keep)).bind(most()).fetch_one(connection).await?.try_get(0)
}

fn most() -> i64 {
    i64::try_from(MAX_DOCUMENTS).unwrap_or(i64::MAX)
}

/// Explains the error of a database without this part of the schema: the store cannot do this, and repeating the call does not
/// help.
pub(super) fn explained(error: StoreError) -> StoreError {
    if !is_about_schema(&error) {
        return error;
    }
    let text = format!(
        "{error}: have a role that may create tables run the schema again, and grant SELECT, INSERT, UPDATE and DELETE on \
         drumline_documents"
    );
    StoreError::Refused(StoreErrorText::about(error, text))
}
