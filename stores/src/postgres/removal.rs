//! The removal of what has expired: now and then, and little at a time.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::connections::{Connections, PooledConnection};
use crate::store::StoreError;

/// How often a process looks for expired rows. They count as absent anyway.
pub(super) const EVERY: Duration = Duration::from_secs(60);

/// How many rows a statement removes, so that none takes long.
const BATCH: u64 = 1_000;

/// How many statements a table gets each time: together as many rows as a busy process makes in the meantime.
const BATCHES: usize = 60;

/// Rows that somebody uses in this moment are passed over.
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

/// When the next removal is due.
pub(crate) struct Due {
    next: Mutex<Instant>,
    every: Duration,
}

impl Due {
    /// For the first time after a while of its own, because many processes may start at once.
    pub(crate) fn new(every: Duration) -> Self {
        Self { next: Mutex::new(Instant::now() + every.mul_f64(fastrand::f64())), every }
    }

    /// Whether it is due now; whoever is told so sees to it.
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

/// Removes what has expired, up to a bound. Each statement is a call of its own, so that others come in between.
pub(super) async fn remove_expired(connections: &Connections) -> Result<(), StoreError> {
    remove(connections, &STATEMENTS).await
}

/// Makes statements each of which removes up to [`BATCH`] rows, until they find fewer.
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
