//! The statements, and what they answer in the words of a store.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use drumline::{Admission, Claim, ClaimRequest, Grant, Surrender};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Error, Postgres, Row};

use crate::record::{ClaimRecord, JobRecord, JobState, MAX_ATTEMPTS_KEPT};
use crate::store::{Keep, millis};

/// PostgreSQL has no texts with the character NUL, which JSON can have: this one stands for it.
fn writable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// SQL has no unsigned numbers.
fn signed(number: u64) -> i64 {
    number.cast_signed()
}

pub(super) async fn claim(
    connection: &mut PgConnection,
    request: &ClaimRequest,
    owner: &Arc<str>,
    keep: Keep,
    nonce: i64,
) -> Result<Admission, Error> {
    let row = sqlx::query("SELECT * FROM drumline_claim_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
        .bind(writable(&request.key))
        .bind(format!("{:032x}", request.payload_hash))
        .bind(request.lock.as_deref().map(writable))
        .bind(millis(request.length))
        .bind(millis(keep.history))
        .bind(writable(owner))
        .bind(writable(&request.job_id))
        .bind(writable(&request.job_type))
        .bind(writable(&request.queue))
        .bind(writable(&request.message_id))
        .bind(nonce)
        .fetch_one(connection)
        .await?;
    let left = || -> Result<Duration, Error> {
        Ok(Duration::from_millis(u64::try_from(row.try_get::<i64, _>("number")?).unwrap_or_default()))
    };
    let value = || -> Result<Option<Box<RawValue>>, Error> {
        row.try_get::<Option<String>, _>("value")?.map(raw).transpose()
    };
    Ok(match row.try_get::<&str, _>("answer")? {
        "granted" => {
            let lock_counter = row.try_get::<i64, _>("lock_counter")?.cast_unsigned();
            let claim = Claim {
                key: Arc::clone(&request.key),
                owner: Arc::clone(owner),
                counter: row.try_get::<i64, _>("number")?.cast_unsigned(),
                lock: request.lock.clone().map(|lock| (lock, lock_counter)),
                job_id: Arc::clone(&request.job_id),
            };
            let attempt = u32::try_from(row.try_get::<i32, _>("attempt")?).ok().and_then(NonZeroU32::new);
            Admission::Granted(Grant {
                claim: Arc::new(claim),
                attempt: attempt.ok_or_else(|| unreadable("attempts"))?,
                checkpoint: value()?,
            })
        }
        "done" => Admission::Done(value()?),
        "condemned" => Admission::Condemned(row.try_get("value")?),
        "held" => Admission::Held(left()?),
        "locked" => Admission::Locked(left()?),
        "mismatch" => Admission::Mismatch,
        _ => return Err(unreadable("answer")),
    })
}

/// A call with the claim as its first five arguments.
fn under<'q>(function: &'static str, claim: &'q Claim) -> Query<'q, Postgres, PgArguments> {
    let lock = claim.lock.as_ref();
    sqlx::query(function)
        .bind(writable(&claim.key))
        .bind(writable(&claim.owner))
        .bind(signed(claim.counter))
        .bind(lock.map(|(name, _)| writable(name)))
        .bind(lock.map_or(0, |(_, counter)| signed(*counter)))
}

pub(super) async fn renew(
    connection: &mut PgConnection,
    claim: &Claim,
    length: Duration,
    keep: Keep,
) -> Result<bool, Error> {
    let call = under("SELECT drumline_renew_v1($1, $2, $3, $4, $5, $6, $7)", claim)
        .bind(millis(length))
        .bind(millis(keep.history));
    call.fetch_one(connection).await?.try_get(0)
}

pub(super) async fn finish(
    connection: &mut PgConnection,
    claim: &Claim,
    result: Option<&RawValue>,
    keep: Keep,
) -> Result<bool, Error> {
    let call = under("SELECT drumline_finish_v1($1, $2, $3, $4, $5, $6, $7, $8)", claim)
        .bind(result.map(RawValue::get))
        .bind(millis(keep.done))
        .bind(millis(keep.history));
    call.fetch_one(connection).await?.try_get(0)
}

pub(super) async fn surrender(
    connection: &mut PgConnection,
    claim: &Claim,
    how: &Surrender,
    keep: Keep,
) -> Result<bool, Error> {
    let call = under("SELECT drumline_surrender_v1($1, $2, $3, $4, $5, $6, $7, $8)", claim)
        .bind(i32::from(how.spared))
        .bind(how.verdict.as_deref().map(writable))
        .bind(millis(keep.history));
    call.fetch_one(connection).await?.try_get(0)
}

pub(super) async fn checkpoint(
    connection: &mut PgConnection,
    claim: &Claim,
    value: &RawValue,
) -> Result<bool, Error> {
    let call = sqlx::query(
        "UPDATE drumline_claims SET checkpoint = $4
        WHERE key = $1 AND owner = $2 AND counter = $3 AND state = 'running' AND expires > clock_timestamp()",
    );
    let call = call.bind(writable(&claim.key)).bind(writable(&claim.owner)).bind(signed(claim.counter));
    Ok(call.bind(value.get()).execute(connection).await?.rows_affected() == 1)
}

pub(super) async fn progress(
    connection: &mut PgConnection,
    job_id: &str,
    progress: &str,
    keep: Keep,
) -> Result<(), Error> {
    let call = sqlx::query(
        "INSERT INTO drumline_jobs (job_id, progress, expires) VALUES ($1, $2, drumline_after_v1($3))
        ON CONFLICT (job_id) DO UPDATE SET progress = excluded.progress, expires = excluded.expires",
    );
    call.bind(writable(job_id)).bind(progress).bind(millis(keep.history)).execute(connection).await?;
    Ok(())
}

pub(super) async fn attempted(
    connection: &mut PgConnection,
    job_id: &str,
    attempt: &str,
    keep: Keep,
) -> Result<(), Error> {
    // The new one is not among those that the second statement sees.
    let call = sqlx::query(
        "WITH added AS (
            INSERT INTO drumline_attempts (job_id, attempt, expires) VALUES ($1, $2, drumline_after_v1($3))
        )
        DELETE FROM drumline_attempts WHERE job_id = $1 AND id <= (
            SELECT id FROM drumline_attempts WHERE job_id = $1 ORDER BY id DESC OFFSET $4 LIMIT 1
        )",
    );
    let others = i64::try_from(MAX_ATTEMPTS_KEPT - 1).unwrap_or(i64::MAX);
    let call = call.bind(writable(job_id)).bind(attempt).bind(millis(keep.history)).bind(others);
    call.execute(connection).await?;
    Ok(())
}

/// What people are shown of a job. Of several claims that a job had under different keys, the newest.
pub(super) async fn job(connection: &mut PgConnection, job_id: &str) -> Result<Option<JobRecord>, Error> {
    let claim = sqlx::query(
        "SELECT state, key, job_type, queue, message_id, owner, attempts, verdict, result,
            floor(extract(epoch FROM claimed_until) * 1000)::bigint AS claimed_until_ms,
            claimed_until > clock_timestamp() AS is_claimed
        FROM drumline_claims WHERE job_id = $1 AND expires > clock_timestamp() ORDER BY claimed_until DESC LIMIT 1",
    );
    let claim = claim.bind(writable(job_id)).fetch_optional(&mut *connection).await?;
    let history = sqlx::query(
        "SELECT true AS is_progress, 0 AS id, progress AS record FROM drumline_jobs
        WHERE job_id = $1 AND expires > clock_timestamp()
        UNION ALL
        SELECT false, id, attempt FROM drumline_attempts WHERE job_id = $1 AND expires > clock_timestamp()
        ORDER BY is_progress, id",
    );
    let history = history.bind(writable(job_id)).fetch_all(connection).await?;

    let mut record = JobRecord { job_id: job_id.to_owned(), ..JobRecord::default() };
    record.claim = claim.as_ref().map(claim_record).transpose()?;
    for row in &history {
        let text: &str = row.try_get("record")?;
        if row.try_get("is_progress")? {
            record.progress = Some(read(text, "progress")?);
        } else {
            record.attempts.push(read(text, "attempts")?);
        }
    }
    Ok((record.claim.is_some() || !history.is_empty()).then_some(record))
}

fn claim_record(row: &PgRow) -> Result<ClaimRecord, Error> {
    let verdict: Option<String> = row.try_get("verdict")?;
    let is_claimed: bool = row.try_get("is_claimed")?;
    let state = match row.try_get::<&str, _>("state")? {
        "done" => JobState::Done,
        "running" if is_claimed => JobState::Running,
        "waiting" if verdict.is_some() => JobState::Failed,
        "running" | "waiting" => JobState::Waiting,
        _ => return Err(unreadable("state")),
    };
    let result: Option<&str> = row.try_get("result")?;
    Ok(ClaimRecord {
        state,
        key: row.try_get("key")?,
        job_type: row.try_get("job_type")?,
        queue: row.try_get("queue")?,
        message_id: row.try_get("message_id")?,
        owner: row.try_get("owner")?,
        attempts: u32::try_from(row.try_get::<i32, _>("attempts")?).unwrap_or_default(),
        claimed_until_ms: u64::try_from(row.try_get::<i64, _>("claimed_until_ms")?).unwrap_or_default(),
        verdict,
        result: result.map(|result| read(result, "result")).transpose()?,
    })
}

fn raw(text: String) -> Result<Box<RawValue>, Error> {
    RawValue::from_string(text).map_err(|_| unreadable("JSON"))
}

fn read<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| unreadable(what))
}

/// Somebody else has written there, or a newer version of this.
fn unreadable(what: &str) -> Error {
    Error::Protocol(format!("a record's {what} cannot be read"))
}
