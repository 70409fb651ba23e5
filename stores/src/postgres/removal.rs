//! Removes expired rows at intervals, a limited number at a time.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::connections::{Connections, PooledConnection};
use crate::store::StoreError;

/// The interval at which a process removes expired rows. Expired rows count as absent anyway.
pub(super) const EVERY: Duration = Duration::from_secs(60);

/// The number of rows that a statement removes, so that it takes a short time.
const BATCH: u64 = 1_000;

/// The number of statements for each table at each time: together they remove as many rows as a busy process writes in the
/// interval.
const BATCHES: usize = 60;

/// Rows that are currently locked are skipped.
const STATEMENTS: [&str; 8] = [
    "DELETE FROM drumline_claims WHERE key = ANY(ARRAY(SELECT key FROM drumline_claims
        WHERE expires <= now() LIMIT 1000 FOR UPDATE SKIP LOCKED))",
    "DELETE FROM drumline_locks WHERE name = ANY(ARRAY(SELECT name FROM drumline_locks
        WHERE expires <= now() LIMIT 1000 FOR UPDATE SKIP LOCKED))",
    "DELETE FROM drumline_jobs WHERE job_id = ANY(ARRAY(SELECT job_id FROM drumline_jobs
        WHERE expires <= now() LIMIT 1000 FOR UPDATE SKIP LOCKED))",
    "DELETE FROM drumline_attempts WHERE id = ANY(ARRAY(SELECT id FROM drumline_attempts
        WHERE expires <= now() LIMIT 1000 FOR UPDATE SKIP LOCKED))",
    "DELETE FROM drumline_claims_v2 WHERE key = ANY(ARRAY(SELECT key FROM drumline_claims_v2
        WHERE expires <= now() LIMIT 1000 FOR UPDATE SKIP LOCKED))",
    "DELETE FROM drumline_progress_v2 WHERE key = ANY(ARRAY(SELECT key FROM drumline_progress_v2
        WHERE expires <= now() LIMIT 1000 FOR UPDATE SKIP LOCKED))",
    "DELETE FROM drumline_attempts_v2 WHERE id = ANY(ARRAY(SELECT id FROM drumline_attempts_v2
        WHERE expires <= now() LIMIT 1000 FOR UPDATE SKIP LOCKED))",
    "DELETE FROM drumline_duplicates_v2 WHERE id = ANY(ARRAY(SELECT id FROM drumline_duplicates_v2
        WHERE expires <= now() LIMIT 1000 FOR UPDATE SKIP LOCKED))",
];

/// The time when the next removal is due.
pub(crate) struct Due {
    next: Mutex<Instant>,
    every: Duration,
}

impl Due {
    /// Starts with a random delay, because many processes may start at once.
    pub(crate) fn new(every: Duration) -> Self {
        Self { next: Mutex::new(Instant::now() + every.mul_f64(fastrand::f64())), every }
    }

    /// Returns true if a removal is due now; the caller must then perform it.
    pub(crate) fn is_now(&self) -> bool {
        let Ok(mut due) = self.next.try_lock() else { return false };
        let now = Instant::now();
        let is_now = *due <= now;
        if is_now {
            *due = now + self.every;
        }
        is_now
    }
}

/// Removes expired rows, up to a limit. Each statement is a separate call, so that other calls can run in between.
pub(super) async fn remove_expired(connections: &Connections) -> Result<(), StoreError> {
    remove(connections, &STATEMENTS).await
}

/// Runs statements that each remove up to [`BATCH`] rows, until they find fewer.
pub(crate) async fn remove(connections: &Connections, statements: &[&'static str]) -> Result<(), StoreError> {
    for &statement in statements {
        for _ in 0..BATCHES {
            let remove = async |mut loan: PooledConnection| {
                (sqlx::query(statement).execute(&mut loan.connection).await, loan)
            };
            if connections.call(remove).await?.rows_affected() < BATCH {
                break;
            }
        }
    }
    Ok(())
}
