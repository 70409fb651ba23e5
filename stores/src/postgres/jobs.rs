//! Looks up jobs by their job id.

use serde::de::DeserializeOwned;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Error, Row};

use super::statements::unreadable;
use super::text::{decode, encode, writable};
use crate::matches::{add_old, in_order, newest};
use crate::record::{AttemptRecord, ClaimRecord, JobRecord, JobState, MAX_MATCHES};

/// Selects the data of each key that a query returns, with the job ids by which they are known. If there are too many, the most
/// recently changed ones.
macro_rules! of_keys {
    ($keys:literal, limit $limit:literal) => {
        concat!(
            "WITH found AS (",
            $keys,
            ")
    SELECT c.state, c.key, c.job_id, c.job_type, c.queue, c.message_id, c.owner, c.attempts, c.verdict, c.result,
        c.scope, c.source,
        floor(extract(epoch FROM c.claimed_until) * 1000)::bigint AS claimed_until_ms,
        floor(extract(epoch FROM c.finished) * 1000)::bigint AS finished_at_ms,
        c.claimed_until > clock_timestamp() AS is_claimed,
        p.progress, a.history, found.known_as
    FROM found
    LEFT JOIN drumline_claims_v2 c ON c.key = found.key AND c.expires > clock_timestamp()
    LEFT JOIN drumline_progress_v2 p ON p.key = found.key AND p.expires > clock_timestamp()
    LEFT JOIN LATERAL (
        SELECT array_agg(attempt ORDER BY id) AS history, max(changed) AS changed
        FROM drumline_attempts_v2 WHERE key = found.key AND expires > clock_timestamp()
    ) a ON true
    ORDER BY greatest(coalesce(c.finished, c.claimed_until), p.changed, a.changed) DESC NULLS LAST LIMIT ",
            $limit
        )
    };
}

/// Selects the jobs with a job id.
const JOBS: &str = of_keys!(
    "SELECT key, $1::text AS known_as FROM (
        SELECT key FROM drumline_claims_v2 WHERE job_id = $1 AND expires > clock_timestamp()
        UNION SELECT key FROM drumline_progress_v2 WHERE job_id = $1 AND expires > clock_timestamp()
        UNION SELECT key FROM drumline_attempts_v2 WHERE job_id = $1 AND expires > clock_timestamp()
        UNION SELECT key FROM drumline_duplicates_v2 WHERE job_id = $1 AND expires > clock_timestamp()
    ) AS keys",
    limit "$2"
);

/// Selects the most recently changed jobs. The index on `expires` orders claims by their changes: done jobs separately from the
/// others, because they have another retention.
const RECENT: &str = of_keys!(
    "SELECT DISTINCT ON (key) key, job_id AS known_as FROM (
        (SELECT key, job_id, 1 AS rank FROM drumline_claims_v2
            WHERE state <> 'done' AND expires > clock_timestamp() ORDER BY expires DESC LIMIT $1)
        UNION ALL (SELECT key, job_id, 1 FROM drumline_claims_v2
            WHERE state = 'done' AND expires > clock_timestamp() ORDER BY expires DESC LIMIT $1)
        UNION ALL (SELECT key, job_id, 2 FROM drumline_attempts_v2
            WHERE expires > clock_timestamp() ORDER BY id DESC LIMIT $1)
    ) AS newest ORDER BY key, rank",
    limit "$1"
);

/// Selects the claim of version 0.1: if a job had several under different keys, the newest.
const OLD_CLAIM: &str = "SELECT state, key, job_id, job_type, queue, message_id, owner, attempts, verdict, result,
        floor(extract(epoch FROM claimed_until) * 1000)::bigint AS claimed_until_ms, NULL::bigint AS finished_at_ms,
        claimed_until > clock_timestamp() AS is_claimed
    FROM drumline_claims WHERE job_id = $1 AND expires > clock_timestamp() ORDER BY claimed_until DESC LIMIT 1";

/// Selects its progress and its attempts.
const OLD_HISTORY: &str = "SELECT
        (SELECT progress FROM drumline_jobs WHERE job_id = $1 AND expires > clock_timestamp()) AS progress,
        (SELECT array_agg(attempt ORDER BY id) FROM drumline_attempts
            WHERE job_id = $1 AND expires > clock_timestamp()) AS history";

/// Returns the jobs with a job id. This takes three round trips, but it is only for people.
pub(super) async fn jobs(connection: &mut PgConnection, job_id: &str) -> Result<Vec<JobRecord>, Error> {
    let most = i64::try_from(MAX_MATCHES).unwrap_or(i64::MAX);
    let found = sqlx::query(JOBS).bind(encode(job_id)).bind(most).fetch_all(&mut *connection).await?;
    let old_claim = sqlx::query(OLD_CLAIM).bind(writable(job_id)).fetch_optional(&mut *connection).await?;
    let old_history = sqlx::query(OLD_HISTORY).bind(writable(job_id)).fetch_one(connection).await?;

    let mut matches = records(&found)?;
    let old_claim = old_claim.as_ref().map(claim_record).transpose()?;
    // With the job id as the caller knows it, because the old columns could not store every character.
    let old_claim = old_claim.map(|claim| ClaimRecord { job_id: job_id.to_owned(), ..claim });
    if let Some(old) = job(job_id, old_claim, &old_history)? {
        add_old(&mut matches, old);
    }
    Ok(in_order(matches))
}

/// Returns the most recently changed jobs.
pub(super) async fn recent(connection: &mut PgConnection, limit: usize) -> Result<Vec<JobRecord>, Error> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = sqlx::query(RECENT).bind(most).fetch_all(connection).await?;
    Ok(newest(records(&found)?, limit))
}

fn records(found: &[PgRow]) -> Result<Vec<JobRecord>, Error> {
    let mut records = Vec::new();
    for row in found {
        let claim = row.try_get::<Option<&str>, _>("state")?.map(|_| claim_record(row)).transpose()?;
        let job_id = decode(row.try_get("known_as")?);
        let Some(mut job) = job(&job_id, claim, row)? else { continue };
        job.scope = row.try_get::<Option<String>, _>("scope")?.map(decode);
        let source = row.try_get::<Option<String>, _>("source")?.map(decode);
        job.source = source.filter(|source| !source.is_empty());
        records.push(job);
    }
    Ok(records)
}

fn job(job_id: &str, claim: Option<ClaimRecord>, history: &PgRow) -> Result<Option<JobRecord>, Error> {
    let progress: Option<&str> = history.try_get("progress")?;
    let progress = progress.map(|progress| read(progress, "progress")).transpose()?;
    let attempts: Vec<String> = history.try_get::<Option<_>, _>("history")?.unwrap_or_default();
    let attempts: Result<Vec<AttemptRecord>, _> =
        attempts.iter().map(|attempt| read(attempt, "attempts")).collect();
    Ok(JobRecord::of(job_id, claim, progress, attempts?))
}

fn claim_record(row: &PgRow) -> Result<ClaimRecord, Error> {
    let failure_reason: Option<String> = row.try_get("verdict")?;
    let is_claimed: bool = row.try_get("is_claimed")?;
    let state = match row.try_get::<&str, _>("state")? {
        "done" => JobState::Done,
        "running" if is_claimed => JobState::Running,
        "waiting" | "dead" if failure_reason.is_some() => JobState::Failed,
        "dead" => JobState::Dead,
        "running" | "waiting" => JobState::Waiting,
        _ => return Err(unreadable("state")),
    };
    let result: Option<&str> = row.try_get("result")?;
    let finished_at_ms: Option<i64> = row.try_get("finished_at_ms")?;
    Ok(ClaimRecord {
        state,
        key: row.try_get("key")?,
        job_id: decode(row.try_get("job_id")?),
        job_type: decode(row.try_get("job_type")?),
        queue: decode(row.try_get("queue")?),
        message_id: decode(row.try_get("message_id")?),
        owner: row.try_get("owner")?,
        attempts: u32::try_from(row.try_get::<i32, _>("attempts")?).unwrap_or_default(),
        claimed_until_ms: u64::try_from(row.try_get::<i64, _>("claimed_until_ms")?).unwrap_or_default(),
        finished_at_ms: finished_at_ms.and_then(|finished| u64::try_from(finished).ok()),
        failure_reason,
        result: result.map(|result| read(result, "result")).transpose()?,
    })
}

fn read<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| unreadable(what))
}
