//! Converts rows of the table to jobs.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{Error, Row};

use super::super::{Due, OutboxJob};

/// The columns of a job in the order in which taken rows have them. The due time is `NULL` if the job is due at once; the
/// payload and the attributes are `NULL` if they have more than 64 MiB.
pub(super) const COLUMNS: &str = "id, type,
    CASE WHEN octet_length(payload)::bigint + octet_length(message_attributes) <= 67108864 THEN payload END AS payload,
    schema_version, queue, message_group, idempotency_key, correlation_id, traceparent,
    CASE WHEN octet_length(payload)::bigint + octet_length(message_attributes) <= 67108864 THEN message_attributes END
        AS message_attributes, CASE WHEN due > '-infinity' THEN floor(extract(epoch FROM due) * 1000)::bigint END AS due,
    floor(extract(epoch FROM added) * 1000)::bigint AS added, failures";

/// The job of a row with these columns.
pub(super) struct JobRow {
    pub(super) job: OutboxJob,
    pub(super) added_ms: i64,
    pub(super) failures: u32,
    /// The problem of a row that cannot be read.
    pub(super) problem: Option<String>,
}

/// Reads the columns by position, because a lookup by name would be repeated for each row.
pub(super) fn read(row: &PgRow) -> Result<JobRow, Error> {
    let (attributes, problem) = match row.try_get::<Option<&str>, _>(9)?.map(attributes) {
        Some(Ok(attributes)) => (attributes, None),
        Some(Err(error)) => (BTreeMap::new(), Some(format!("its attributes cannot be read: {error}"))),
        None => (
            BTreeMap::new(),
            Some("it is too large: its payload and attributes have more than 64 MiB".to_owned()),
        ),
    };
    let due: Option<i64> = row.try_get(10)?;
    let job = OutboxJob {
        id: row.try_get(0)?,
        job_type: row.try_get(1)?,
        schema_version: row.try_get::<i32, _>(3)?.unsigned_abs(),
        payload: row.try_get::<Option<String>, _>(2)?.unwrap_or_default(),
        queue: row.try_get(4)?,
        group: row.try_get(5)?,
        idempotency_key: row.try_get(6)?,
        correlation_id: row.try_get(7)?,
        traceparent: row.try_get(8)?,
        attributes,
        due: due.map_or(Due::Now, Due::AtMs),
    };
    let failures = row.try_get::<i32, _>(12)?.unsigned_abs();
    Ok(JobRow { job, added_ms: row.try_get(11)?, failures, problem })
}

/// Reads the attributes of a row, which any program may have written: numbers and the like count as their texts, `null` as
/// absent.
fn attributes(text: &str) -> Result<BTreeMap<String, String>, serde_json::Error> {
    let values: BTreeMap<String, Value> = serde_json::from_str(text)?;
    let texts = values.into_iter().filter_map(|(name, value)| match value {
        Value::Null => None,
        Value::String(text) => Some((name, text)),
        other => Some((name, other.to_string())),
    });
    Ok(texts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_any_program_are_texts() {
        let read = attributes(r#"{"tenant":"7","shard":3,"vip":true,"none":null}"#).expect("JSON");
        let texts =
            [("shard", "3"), ("tenant", "7"), ("vip", "true")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(read, BTreeMap::from(texts));
        assert!(attributes(&format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500))).is_err());
    }
}
