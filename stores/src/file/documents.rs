//! The documents.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::document::{Document, MAX_DOCUMENTS};
use crate::document_rules;
use crate::rules::after;

pub(super) fn get(connection: &Connection, kind: &str, name: &str, now: u64) -> Result<Option<String>> {
    let sql = "SELECT text FROM documents WHERE kind = ?1 AND name = ?2 AND expires > ?3";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row(params![kind, name, now.cast_signed()], |row| row.get(0)).optional()
}

pub(super) fn list(connection: &Connection, kind: &str, now: u64) -> Result<Vec<Document>> {
    let sql = "SELECT name, text FROM documents WHERE kind = ?1 AND expires > ?2 ORDER BY id DESC LIMIT ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_map(params![kind, now.cast_signed(), most()], |row| {
        Ok(Document { name: row.get(0)?, text: row.get(1)? })
    })?;
    found.collect()
}

pub(super) fn put(
    connection: &Connection,
    kind: &str,
    document: &Document,
    before: Option<&str>,
    keep: Duration,
    now: u64,
) -> Result<bool> {
    let Document { name, text } = document;
    let current = get(connection, kind, name, now)?;
    if !document_rules::may_change(current.as_deref(), before, text) {
        return Ok(false);
    }
    let expires = after(now, document_rules::bounded(keep)).cast_signed();
    // A new row with a new id, which shows that it changed last.
    let old = "DELETE FROM documents WHERE kind = ?1 AND name = ?2";
    connection.prepare_cached(old)?.execute(params![kind, name])?;
    let add = "INSERT INTO documents (kind, name, text, expires) VALUES (?1, ?2, ?3, ?4)";
    connection.prepare_cached(add)?.execute(params![kind, name, text, expires])?;
    let bound = "DELETE FROM documents WHERE kind = ?1 AND id NOT IN
        (SELECT id FROM documents WHERE kind = ?1 AND expires > ?2 ORDER BY id DESC LIMIT ?3)";
    connection.prepare_cached(bound)?.execute(params![kind, now.cast_signed(), most()])?;
    Ok(true)
}

fn most() -> i64 {
    i64::try_from(MAX_DOCUMENTS).unwrap_or(i64::MAX)
}
