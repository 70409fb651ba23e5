//! Progress, failed attempts, the look-up of jobs, and the removal of what has expired.

use drumline::message::Identity;
use rusqlite::{OptionalExtension, Result, Transaction, params};

use super::rows::Tables;
use crate::matches::in_order;
use crate::record::{AttemptRecord, JobRecord, MAX_ATTEMPTS_KEPT, MAX_MATCHES, ProgressRecord};
use crate::rules::{Rows, after};
use crate::store::{Retention, to_json};

/// Removes rows that have expired, little at a time.
const REMOVALS: [&str; 5] = [
    "DELETE FROM claims WHERE rowid IN (SELECT rowid FROM claims WHERE expires <= ?1 LIMIT 1000)",
    "DELETE FROM locks WHERE rowid IN (SELECT rowid FROM locks WHERE expires <= ?1 LIMIT 1000)",
    "DELETE FROM progress WHERE rowid IN (SELECT rowid FROM progress WHERE expires <= ?1 LIMIT 1000)",
    "DELETE FROM attempts WHERE rowid IN (SELECT rowid FROM attempts WHERE expires <= ?1 LIMIT 1000)",
    "DELETE FROM duplicates WHERE rowid IN (SELECT rowid FROM duplicates WHERE expires <= ?1 LIMIT 1000)",
];

/// The keys of a job id, those changed last first.
const KEYS: &str = "SELECT key FROM (
        SELECT key, changed FROM claims WHERE job_id = ?1 AND expires > ?2
        UNION ALL SELECT key, changed FROM progress WHERE job_id = ?1 AND expires > ?2
        UNION ALL SELECT key, changed FROM attempts WHERE job_id = ?1 AND expires > ?2
        UNION ALL SELECT key, changed FROM duplicates WHERE job_id = ?1 AND expires > ?2
    ) GROUP BY key ORDER BY max(changed) DESC LIMIT ?3";

pub(super) fn progress(
    transaction: &Transaction<'_>,
    identity: &Identity,
    progress: &ProgressRecord,
    keep: Retention,
    now: u64,
) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO progress (key, job_id, progress, changed, expires) VALUES (?1, ?2, ?3, ?4, ?5)";
    let (now, expires) = (now.cast_signed(), after(now, keep.history).cast_signed());
    let row = params![&**identity.key(), &**identity.job_id(), to_json(progress), now, expires];
    transaction.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

pub(super) fn attempted(
    transaction: &Transaction<'_>,
    identity: &Identity,
    attempt: &AttemptRecord,
    keep: Retention,
    now: u64,
) -> Result<()> {
    let key = &**identity.key();
    let (now, expires) = (now.cast_signed(), after(now, keep.history).cast_signed());
    // A job whose attempts have all expired begins anew; else they stay as long as the last one.
    let old = "DELETE FROM attempts WHERE key = ?1 AND expires <= ?2";
    transaction.prepare_cached(old)?.execute(params![key, now])?;
    transaction
        .prepare_cached("UPDATE attempts SET expires = ?2 WHERE key = ?1")?
        .execute(params![key, expires])?;
    let add = "INSERT INTO attempts (key, job_id, message_id, attempt, changed, expires)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let row = params![key, &**identity.job_id(), attempt.message_id, to_json(attempt), now, expires];
    transaction.prepare_cached(add)?.execute(row)?;
    let bound = "DELETE FROM attempts WHERE key = ?1 AND id NOT IN
        (SELECT id FROM attempts WHERE key = ?1 ORDER BY id DESC LIMIT ?2)";
    let most = i64::try_from(MAX_ATTEMPTS_KEPT).unwrap_or(i64::MAX);
    transaction.prepare_cached(bound)?.execute(params![key, most])?;
    Ok(())
}

pub(super) fn jobs(transaction: &Transaction<'_>, job_id: &str, now: u64) -> Result<Vec<JobRecord>> {
    let most = i64::try_from(MAX_MATCHES).unwrap_or(i64::MAX);
    let mut statement = transaction.prepare_cached(KEYS)?;
    let keys =
        statement.query_map(params![job_id, now.cast_signed(), most], |row| row.get::<_, String>(0))?;
    let mut matches = Vec::new();
    for key in keys {
        matches.extend(job(transaction, job_id, key?, now)?);
    }
    Ok(in_order(matches))
}

fn job(transaction: &Transaction<'_>, job_id: &str, key: String, now: u64) -> Result<Option<JobRecord>> {
    let at = now.cast_signed();
    let sql = "SELECT progress FROM progress WHERE key = ?1 AND expires > ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    let progress: Option<String> = statement.query_row(params![key, at], |row| row.get(0)).optional()?;
    let progress = progress.and_then(|progress| serde_json::from_str(&progress).ok());
    let sql = "SELECT attempt FROM attempts WHERE key = ?1 AND expires > ?2 ORDER BY id";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut attempts: Vec<AttemptRecord> = Vec::new();
    for attempt in statement.query_map(params![key, at], |row| row.get::<_, String>(0))? {
        attempts.extend(serde_json::from_str(&attempt?).ok());
    }
    let kept = Tables(transaction).claim(&key)?.filter(|(_, expires)| *expires > now).map(|(kept, _)| kept);
    let claim = kept.as_ref().map(|kept| kept.shown(key, now));
    Ok(JobRecord::of(job_id, claim, progress, attempts).map(|job| {
        let (scope, source) = kept.map_or((None, None), |kept| (Some(kept.scope), kept.source));
        JobRecord { scope, source, ..job }
    }))
}

pub(super) fn remove_expired(transaction: &Transaction<'_>, now: u64) -> Result<()> {
    for removal in REMOVALS {
        transaction.prepare_cached(removal)?.execute([now.cast_signed()])?;
    }
    Ok(())
}
