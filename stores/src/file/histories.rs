//! Progress, failed attempts, lookups of jobs, and the removal of expired rows.

use drumline::message::Identity;
use rusqlite::{Connection, OptionalExtension, Params, Result, params};

use super::rows::Tables;
use crate::matches::{in_order, newest};
use crate::record::{AttemptRecord, JobRecord, MAX_ATTEMPTS_KEPT, MAX_MATCHES, ProgressRecord};
use crate::rules::{Kept, Rows, after};
use crate::store::{Retention, to_json};

/// The largest number of rows of a table that are removed at once.
const MAX_REMOVED: usize = 1_000;

/// Removes rows that have expired.
const REMOVALS: [&str; 7] = [
    "DELETE FROM claims WHERE rowid IN (SELECT rowid FROM claims WHERE expires <= ?1 LIMIT ?2)",
    "DELETE FROM locks WHERE rowid IN (SELECT rowid FROM locks WHERE expires <= ?1 LIMIT ?2)",
    "DELETE FROM progress WHERE rowid IN (SELECT rowid FROM progress WHERE expires <= ?1 LIMIT ?2)",
    "DELETE FROM attempts WHERE rowid IN (SELECT rowid FROM attempts WHERE expires <= ?1 LIMIT ?2)",
    "DELETE FROM duplicates WHERE rowid IN (SELECT rowid FROM duplicates WHERE expires <= ?1 LIMIT ?2)",
    "DELETE FROM documents WHERE rowid IN (SELECT rowid FROM documents WHERE expires <= ?1 LIMIT ?2)",
    "DELETE FROM tokens WHERE bucket IN (SELECT bucket FROM tokens WHERE expires <= ?1 LIMIT ?2)",
];

/// Selects the keys of a job id, most recently changed first.
const KEYS: &str = "SELECT key FROM (
        SELECT key, changed FROM claims WHERE job_id = ?1 AND expires > ?2
        UNION ALL SELECT key, changed FROM progress WHERE job_id = ?1 AND expires > ?2
        UNION ALL SELECT key, changed FROM attempts WHERE job_id = ?1 AND expires > ?2
        UNION ALL SELECT key, changed FROM duplicates WHERE job_id = ?1 AND expires > ?2
    ) GROUP BY key ORDER BY max(changed) DESC LIMIT ?3";

/// Selects the keys and job ids of the most recently changed jobs.
const RECENT: &str = "SELECT key, job_id, max(changed) FROM (
        SELECT * FROM (SELECT key, job_id, changed FROM claims WHERE expires > ?1 ORDER BY changed DESC LIMIT ?2)
        UNION ALL
        SELECT * FROM (
            SELECT key, job_id, max(changed) AS changed FROM attempts WHERE expires > ?1
            GROUP BY key ORDER BY changed DESC LIMIT ?2
        )
    ) GROUP BY key ORDER BY max(changed) DESC LIMIT ?2";

/// Selects the keys and job ids of the jobs that came in a message.
const OF_MESSAGE: &str = "SELECT key, job_id FROM (
        SELECT key, job_id FROM claims WHERE message_id = ?2 AND expires > ?1
        UNION ALL SELECT key, job_id FROM attempts WHERE message_id = ?2 AND expires > ?1
    ) GROUP BY key LIMIT ?3";

pub(super) fn progress(
    connection: &Connection,
    identity: &Identity,
    progress: &ProgressRecord,
    keep: Retention,
    now: u64,
) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO progress (key, job_id, progress, changed, expires) VALUES (?1, ?2, ?3, ?4, ?5)";
    let (now, expires) = (now.cast_signed(), after(now, keep.history).cast_signed());
    let row = params![&**identity.key(), &**identity.job_id(), to_json(progress), now, expires];
    connection.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

pub(super) fn attempted(
    connection: &Connection,
    identity: &Identity,
    attempt: &AttemptRecord,
    keep: Retention,
    now: u64,
) -> Result<()> {
    let key = &**identity.key();
    let (now, expires) = (now.cast_signed(), after(now, keep.history).cast_signed());
    // If all attempts of a job have expired, its history begins anew; otherwise they stay as long as the last one.
    let old = "DELETE FROM attempts WHERE key = ?1 AND expires <= ?2";
    connection.prepare_cached(old)?.execute(params![key, now])?;
    connection
        .prepare_cached("UPDATE attempts SET expires = ?2 WHERE key = ?1")?
        .execute(params![key, expires])?;
    let add = "INSERT INTO attempts (key, job_id, message_id, attempt, changed, expires)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let row = params![key, &**identity.job_id(), attempt.message_id, to_json(attempt), now, expires];
    connection.prepare_cached(add)?.execute(row)?;
    let bound = "DELETE FROM attempts WHERE key = ?1 AND id NOT IN
        (SELECT id FROM attempts WHERE key = ?1 ORDER BY id DESC LIMIT ?2)";
    let most = i64::try_from(MAX_ATTEMPTS_KEPT).unwrap_or(i64::MAX);
    connection.prepare_cached(bound)?.execute(params![key, most])?;
    Ok(())
}

pub(super) fn jobs(connection: &Connection, job_id: &str, now: u64) -> Result<Vec<JobRecord>> {
    let most = i64::try_from(MAX_MATCHES).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(KEYS)?;
    let keys =
        statement.query_map(params![job_id, now.cast_signed(), most], |row| row.get::<_, String>(0))?;
    let mut matches = Vec::new();
    for key in keys {
        matches.extend(job(connection, job_id, key?, now)?);
    }
    Ok(in_order(matches))
}

pub(super) fn recent(connection: &Connection, limit: usize, now: u64) -> Result<Vec<JobRecord>> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(newest(listed(connection, RECENT, params![now.cast_signed(), most], now)?, limit))
}

pub(super) fn of_message(connection: &Connection, message_id: &str, now: u64) -> Result<Vec<JobRecord>> {
    let most = i64::try_from(MAX_MATCHES).unwrap_or(i64::MAX);
    Ok(in_order(listed(connection, OF_MESSAGE, params![now.cast_signed(), message_id, most], now)?))
}

/// Returns the jobs whose keys and job ids a statement returns.
fn listed(connection: &Connection, sql: &str, parameters: impl Params, now: u64) -> Result<Vec<JobRecord>> {
    let mut statement = connection.prepare_cached(sql)?;
    let found =
        statement.query_map(parameters, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut jobs = Vec::new();
    for found in found {
        let (key, job_id) = found?;
        jobs.extend(job(connection, &job_id, key, now)?);
    }
    Ok(jobs)
}

fn job(connection: &Connection, job_id: &str, key: String, now: u64) -> Result<Option<JobRecord>> {
    let at = now.cast_signed();
    let sql = "SELECT progress FROM progress WHERE key = ?1 AND expires > ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let progress: Option<String> = statement.query_row(params![key, at], |row| row.get(0)).optional()?;
    let progress = progress.and_then(|progress| serde_json::from_str(&progress).ok());
    let sql = "SELECT attempt FROM attempts WHERE key = ?1 AND expires > ?2 ORDER BY id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut attempts: Vec<AttemptRecord> = Vec::new();
    for attempt in statement.query_map(params![key, at], |row| row.get::<_, String>(0))? {
        attempts.extend(serde_json::from_str(&attempt?).ok());
    }
    let kept = Tables(connection).claim(&key)?.filter(|(_, expires)| *expires > now).map(|(kept, _)| kept);
    Ok(Kept::job(kept, job_id, key, progress, attempts, now))
}

/// Removes some expired rows. Returns true if there may be more.
pub(super) fn remove_expired(connection: &Connection, now: u64) -> Result<bool> {
    let most = i64::try_from(MAX_REMOVED).unwrap_or(i64::MAX);
    let mut more = false;
    for removal in REMOVALS {
        let removed = connection.prepare_cached(removal)?.execute(params![now.cast_signed(), most])?;
        more |= removed == MAX_REMOVED;
    }
    Ok(more)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_job_of_many_attempts_leaves_others_in_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let connection = super::super::database::open(&folder.path().join("jobs.db")).unwrap();
        let failed = |id: &str, at: u64| {
            let attempt = AttemptRecord {
                at_ms: at,
                message_id: "m-1".to_owned(),
                job_id: None,
                queue: "jobs".to_owned(),
                job_type: None,
                attempt: 1,
                receive_count: 1,
                worker: "one".to_owned(),
                took_ms: 12,
                class: "error".to_owned(),
                reason: "no".to_owned(),
                outcome: "retry".to_owned(),
                retry_in_ms: None,
                last_attempt: false,
                log: Vec::new(),
            };
            let identity = Identity::new("queue", "type", None, id);
            attempted(&connection, &identity, &attempt, Retention::default(), at).unwrap();
        };
        failed("one", 1);
        for at in 2..10 {
            failed("another", at);
        }
        let listed = recent(&connection, 2, 10).unwrap();
        assert_eq!(listed.iter().map(|job| &*job.job_id).collect::<Vec<_>>(), ["another", "one"]);
    }
}
