//! Rows that relays take.

use sqlx::postgres::PgRow;
use sqlx::{Error, Row};

use super::super::OutboxJob;
use super::job_rows;

/// A row that was taken.
pub(super) struct TakenRow {
    pub(super) job: OutboxJob,
    pub(super) added_ms: i64,
    pub(super) failures: u32,
    pub(super) position: i64,
    pub(super) bucket: i32,
    pub(super) turn: i32,
    pub(super) token: i64,
    /// The problem of a row that cannot be read.
    pub(super) problem: Option<String>,
}

impl TakenRow {
    /// Reads the columns in the function's order.
    pub(super) fn read(row: &PgRow) -> Result<Self, Error> {
        let job_row = job_rows::read(row)?;
        Ok(Self {
            job: job_row.job,
            added_ms: job_row.added_ms,
            failures: job_row.failures,
            position: row.try_get(13)?,
            bucket: row.try_get(14)?,
            turn: row.try_get(15)?,
            token: row.try_get(16)?,
            problem: job_row.problem,
        })
    }

    /// Returns the name of the lease under which it was taken.
    pub(super) fn lease_name(&self) -> String {
        lease_name(self.bucket, self.turn)
    }
}

/// Returns the name of a lease: a bucket, and the turn of a job.
fn lease_name(bucket: i32, turn: i32) -> String {
    format!("bucket {bucket}, turn {turn}")
}

/// Parses such a name. The name of another kind of lease has no bucket.
pub(super) fn bucket_and_turn(name: &str) -> (i32, i32) {
    let parts = name.strip_prefix("bucket ").and_then(|parts| parts.split_once(", turn "));
    let numbers = parts.and_then(|(bucket, turn)| Some((bucket.parse().ok()?, turn.parse().ok()?)));
    numbers.unwrap_or((-1, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_leases_are_read_as_they_are_written() {
        assert_eq!(bucket_and_turn(&lease_name(63, 7)), (63, 7));
        assert_eq!(bucket_and_turn("the leader"), (-1, 0));
    }
}
