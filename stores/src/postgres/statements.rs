//! The statements, and the conversion of their results.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Claim, ClaimRequest, ClaimResult, Grant, PriorRun, ReleaseClaim};
use drumline::message::Identity;
use serde_json::value::RawValue;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query;
use sqlx::{Error, Postgres, Row};

use super::text::{decode, encode, was_unambiguous, writable};
use crate::record::MAX_ATTEMPTS_KEPT;
use crate::store::{Retention, millis, takeover};

/// Converts a number, because SQL has no unsigned numbers.
fn signed(number: u64) -> i64 {
    number.cast_signed()
}

/// The bits of a nonce that count consecutive claims of a message that were taken over without an ending, and the bits that
/// mark such a nonce: earlier workers use random bits for all of it.
///
/// The count has no column of its own, because a role that may not change the tables would then need help with an upgrade.
const UNENDED: i64 = 0xffff_ffff;

/// Requests a claim. The statement reads the row in its state before the statement: the function takes it over if the claim has
/// expired, and the earlier state then shows if it was unended. If the row changes in between, the function does not take it
/// over.
const CLAIM: &str = "
    SELECT asked.*, before.unended,
        CASE WHEN before.is_running AND before.rest <> $14 THEN before.owner END AS former_owner
    FROM (
        SELECT now.owner, now.is_running, now.rest,
            CASE
                WHEN now.is_running AND now.rest = $14 THEN now.counted
                WHEN now.is_running AND now.message_id = $13 THEN least(now.counted + 1, 255)
                ELSE 0
            END AS unended
        FROM (SELECT 1) AS one LEFT JOIN (
            SELECT owner, message_id, state = 'running' AND expires > clock_timestamp() AS is_running,
                nonce & ~4294967295 AS rest,
                CASE WHEN nonce & 4294967040 = 3735928320 THEN nonce & 255 ELSE 0 END AS counted
            FROM drumline_claims_v2 WHERE key = $1
        ) AS now ON true
    ) AS before,
    drumline_claim_v2($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 | 3735928320 | before.unended)
        AS asked";

pub(super) async fn claim(
    connection: &mut PgConnection,
    request: &ClaimRequest,
    owner: &Arc<str>,
    keep: Retention,
    nonce: i64,
) -> Result<ClaimResult, Error> {
    let identity = &request.identity;
    let row = sqlx::query(CLAIM)
        .bind(&**identity.key())
        .bind(request.legacy_key.as_deref().filter(|key| was_unambiguous(key)))
        .bind(format!("{:032x}", request.payload_hash))
        .bind(request.lock.as_deref().map(writable))
        .bind(millis(request.length))
        .bind(millis(keep.history))
        .bind(writable(owner))
        .bind(encode(identity.scope()))
        .bind(encode(identity.job_type()))
        .bind(encode(identity.source().map_or("", |source| source)))
        .bind(encode(identity.job_id()))
        .bind(encode(&request.queue))
        .bind(encode(&request.message_id))
        .bind(nonce & !UNENDED)
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
            let lock_token = row.try_get::<i64, _>("lock_counter")?.cast_unsigned();
            let claim = Claim {
                identity: Arc::clone(identity),
                owner: Arc::clone(owner),
                fencing_token: row.try_get::<i64, _>("number")?.cast_unsigned(),
                lock: request.lock.clone().map(|lock| (lock, lock_token)),
            };
            let attempt = u32::try_from(row.try_get::<i32, _>("attempt")?).ok().and_then(NonZeroU32::new);
            ClaimResult::Granted(Grant {
                claim: Arc::new(claim),
                attempt: attempt.ok_or_else(|| unreadable("attempts"))?,
                checkpoint: value()?,
                takeover: takeover(
                    row.try_get::<Option<&str>, _>("former_owner")?.unwrap_or_default(),
                    u32::try_from(row.try_get::<i64, _>("unended")?).unwrap_or_default(),
                ),
            })
        }
        "done" => {
            let finished: Option<i64> = row.try_get("run_finished")?;
            ClaimResult::Done(Box::new(PriorRun {
                result: value()?,
                job_id: decode(row.try_get("run_job_id")?),
                message_id: decode(row.try_get("run_message_id")?),
                queue: decode(row.try_get("run_queue")?),
                worker: row.try_get("run_owner")?,
                finished_at_ms: finished.map(i64::cast_unsigned),
            }))
        }
        "condemned" => ClaimResult::FailedPermanently(row.try_get("value")?),
        "held" => ClaimResult::Busy(left()?),
        "locked" => ClaimResult::Locked(left()?),
        "mismatch" => ClaimResult::Mismatch,
        _ => return Err(unreadable("answer")),
    })
}

/// Returns a call with the claim as its first five arguments.
fn under<'q>(function: &'static str, claim: &'q Claim) -> Query<'q, Postgres, PgArguments> {
    let lock = claim.lock.as_ref();
    sqlx::query(function)
        .bind(&**claim.identity.key())
        .bind(writable(&claim.owner))
        .bind(signed(claim.fencing_token))
        .bind(lock.map(|(name, _)| writable(name)))
        .bind(lock.map_or(0, |(_, fencing_token)| signed(*fencing_token)))
}

pub(super) async fn renew(
    connection: &mut PgConnection,
    claim: &Claim,
    length: Duration,
    keep: Retention,
) -> Result<bool, Error> {
    let call = under("SELECT drumline_renew_v2($1, $2, $3, $4, $5, $6, $7)", claim)
        .bind(millis(length))
        .bind(millis(keep.history));
    call.fetch_one(connection).await?.try_get(0)
}

pub(super) async fn finish(
    connection: &mut PgConnection,
    claim: &Claim,
    result: Option<&RawValue>,
    keep: Retention,
) -> Result<bool, Error> {
    let call = under("SELECT drumline_finish_v3($1, $2, $3, $4, $5, $6, $7, $8)", claim)
        .bind(result.map(RawValue::get))
        .bind(millis(keep.done))
        .bind(millis(keep.history));
    call.fetch_one(connection).await?.try_get(0)
}

/// Marks several jobs at once. All such statements lock their rows in the order of the keys.
const FINISH_ALL: &str = "
    SELECT drumline_finish_v3(key, owner, counter, lock, lock_counter, result, $7, $8)
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::text[])
        AS job (key, owner, counter, lock, lock_counter, result)";

/// Marks several jobs like [`finish`]. Returns the indexes of those whose claims are lost, in ascending order.
pub(super) async fn finish_all(
    connection: &mut PgConnection,
    jobs: &[(&Claim, Option<&RawValue>)],
    keep: Retention,
) -> Result<Vec<usize>, Error> {
    let mut jobs: Vec<(usize, &Claim, Option<&RawValue>)> =
        jobs.iter().enumerate().map(|(place, (claim, result))| (place, *claim, *result)).collect();
    jobs.sort_unstable_by(|(_, a, _), (_, b, _)| a.identity.key().cmp(b.identity.key()));
    let claims = || jobs.iter().map(|(_, claim, _)| *claim);
    let lock = |claim: &Claim| claim.lock.as_ref().map(|(name, _)| writable(name).into_owned());
    let lock_token = |claim: &Claim| claim.lock.as_ref().map_or(0, |(_, token)| signed(*token));
    let marks = sqlx::query(FINISH_ALL)
        .bind(claims().map(|claim| &**claim.identity.key()).collect::<Vec<&str>>())
        .bind(claims().map(|claim| writable(&claim.owner).into_owned()).collect::<Vec<String>>())
        .bind(claims().map(|claim| signed(claim.fencing_token)).collect::<Vec<i64>>())
        .bind(claims().map(lock).collect::<Vec<Option<String>>>())
        .bind(claims().map(lock_token).collect::<Vec<i64>>())
        .bind(jobs.iter().map(|(_, _, result)| result.map(RawValue::get)).collect::<Vec<Option<&str>>>())
        .bind(millis(keep.done))
        .bind(millis(keep.history))
        .fetch_all(connection)
        .await?;
    let mut lost = Vec::new();
    for (mark, (place, _, _)) in marks.iter().zip(&jobs) {
        if !mark.try_get::<bool, _>(0)? {
            lost.push(*place);
        }
    }
    lost.sort_unstable();
    Ok(lost)
}

/// Marks a job like [`finish`], and adds the next jobs, which are JSON rows.
pub(super) async fn finish_with(
    connection: &mut PgConnection,
    claim: &Claim,
    result: Option<&RawValue>,
    keep: Retention,
    next: &str,
) -> Result<bool, Error> {
    let call =
        under("SELECT drumline_outbox_finish_v1($1, $2, $3, $4, $5, $6, $7, $8, $9::text::json)", claim)
            .bind(result.map(RawValue::get))
            .bind(millis(keep.done))
            .bind(millis(keep.history))
            .bind(next);
    call.fetch_one(connection).await?.try_get(0)
}

pub(super) async fn release_claim(
    connection: &mut PgConnection,
    claim: &Claim,
    how: &ReleaseClaim,
    keep: Retention,
) -> Result<bool, Error> {
    let call = under("SELECT drumline_surrender_v3($1, $2, $3, $4, $5, $6, $7, $8, $9)", claim)
        .bind(i32::from(!how.count_attempt))
        .bind(how.failure_reason.as_deref().map(writable))
        .bind(millis(keep.history))
        .bind(how.dead);
    call.fetch_one(connection).await?.try_get(0)
}

pub(super) async fn checkpoint(
    connection: &mut PgConnection,
    claim: &Claim,
    value: &RawValue,
) -> Result<bool, Error> {
    let call = sqlx::query(
        "UPDATE drumline_claims_v2 SET checkpoint = $4
        WHERE key = $1 AND owner = $2 AND counter = $3 AND state = 'running' AND expires > clock_timestamp()",
    );
    let call =
        call.bind(&**claim.identity.key()).bind(writable(&claim.owner)).bind(signed(claim.fencing_token));
    Ok(call.bind(value.get()).execute(connection).await?.rows_affected() == 1)
}

pub(super) async fn progress(
    connection: &mut PgConnection,
    identity: &Identity,
    progress: &str,
    keep: Retention,
) -> Result<(), Error> {
    let call = sqlx::query(
        "INSERT INTO drumline_progress_v2 (key, job_id, progress, expires) VALUES ($1, $2, $3, drumline_after_v1($4))
        ON CONFLICT (key) DO UPDATE SET job_id = excluded.job_id, progress = excluded.progress,
            changed = excluded.changed, expires = excluded.expires",
    );
    let call = call.bind(&**identity.key()).bind(encode(identity.job_id()));
    call.bind(progress).bind(millis(keep.history)).execute(connection).await?;
    Ok(())
}

pub(super) async fn attempted(
    connection: &mut PgConnection,
    identity: &Identity,
    attempt: &str,
    keep: Retention,
) -> Result<(), Error> {
    // The second statement does not see the row that the first one inserts.
    let call = sqlx::query(
        "WITH added AS (
            INSERT INTO drumline_attempts_v2 (key, job_id, attempt, expires)
            VALUES ($1, $2, $3, drumline_after_v1($4))
        )
        DELETE FROM drumline_attempts_v2 WHERE key = $1 AND id <= (
            SELECT id FROM drumline_attempts_v2 WHERE key = $1 ORDER BY id DESC OFFSET $5 LIMIT 1
        )",
    );
    let others = i64::try_from(MAX_ATTEMPTS_KEPT - 1).unwrap_or(i64::MAX);
    let call = call.bind(&**identity.key()).bind(encode(identity.job_id()));
    call.bind(attempt).bind(millis(keep.history)).bind(others).execute(connection).await?;
    Ok(())
}

fn raw(text: String) -> Result<Box<RawValue>, Error> {
    RawValue::from_string(text).map_err(|_| unreadable("JSON"))
}

/// Returns the error for a row that another program or a newer version has written.
pub(super) fn unreadable(what: &str) -> Error {
    Error::Protocol(format!("a record's {what} cannot be read"))
}
