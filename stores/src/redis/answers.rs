//! Converts the results of Redis to those of a store.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Value, from_redis_value};
use drumline::core::{Claim, ClaimRequest, ClaimResult, Grant, PriorRun};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::forgotten::Forgotten;
use crate::matches::{add_old, in_order};
use crate::record::{AttemptRecord, ClaimRecord, JobRecord, JobState};
use crate::store::{StoreError, takeover};

/// The result of `claim.lua`: a word, two numbers, a text, another number, the run of a job that is done, and the claim that
/// was taken over.
pub(super) type ClaimReply = (String, u64, u32, Option<String>, u64, Vec<String>, u32, String);

/// The keys of a job id; its alias, claim, progress and attempts in the format of version 0.1; and the time in seconds and
/// microseconds.
pub(super) type JobAnswer = (Vec<String>, Option<String>, Value, Value, Value, (u64, u64));

pub(super) fn admission(
    (word, number, attempts, text, lock_token, run, unended, former_owner): ClaimReply,
    request: &ClaimRequest,
    owner: &Arc<str>,
) -> Result<ClaimResult, StoreError> {
    Ok(match word.as_str() {
        "granted" => {
            let claim = Claim {
                identity: Arc::clone(&request.identity),
                owner: Arc::clone(owner),
                fencing_token: number,
                lock: request.lock.clone().map(|lock| (lock, lock_token)),
            };
            ClaimResult::Granted(Grant {
                claim: Arc::new(claim),
                attempt: NonZeroU32::new(attempts).ok_or_else(|| unreadable("attempts"))?,
                checkpoint: text.map(|text| raw(text, "checkpoint")).transpose()?,
                takeover: takeover(&former_owner, unended),
            })
        }
        "done" => {
            let [job_id, message_id, queue, worker, finished] =
                <[String; 5]>::try_from(run).map_err(|_| unreadable("run"))?;
            let result = text.map(|text| raw(text, "result")).transpose()?;
            let finished_at_ms = finished.parse().ok();
            ClaimResult::Done(Box::new(PriorRun {
                result,
                job_id,
                message_id,
                queue,
                worker,
                finished_at_ms,
            }))
        }
        "condemned" => ClaimResult::FailedPermanently(text.unwrap_or_default()),
        "held" => ClaimResult::Busy(Duration::from_millis(number)),
        "locked" => ClaimResult::Locked(Duration::from_millis(number)),
        "mismatch" => ClaimResult::Mismatch,
        _ => return Err(unreadable("answer")),
    })
}

/// Converts the result of `forget.lua`.
pub(super) fn forgotten(word: &str) -> Result<Forgotten, StoreError> {
    Ok(match word {
        "done" => Forgotten::Done,
        "not done" => Forgotten::NotDone,
        "running" => Forgotten::Running,
        "absent" => Forgotten::Absent,
        _ => return Err(unreadable("state")),
    })
}

pub(super) fn jobs(
    job_id: &str,
    found: Vec<Value>,
    old: [Value; 3],
    (seconds, micros): (u64, u64),
) -> Result<Vec<JobRecord>, StoreError> {
    let now = seconds * 1000 + micros / 1000;
    let mut matches = Vec::new();
    let mut found = found.into_iter();
    while let (Some(claim), Some(progress), Some(attempts)) = (found.next(), found.next(), found.next()) {
        matches.extend(job(job_id, fields(claim)?, progress, attempts, now)?);
    }
    let [claim, progress, attempts] = old;
    // Its key may belong to another job now.
    let mut claim = fields(claim)?;
    if claim.get("job").is_none_or(|job| job != job_id) {
        claim.clear();
    }
    if let Some(old) = job(job_id, claim, progress, attempts, now)? {
        add_old(&mut matches, old);
    }
    Ok(in_order(matches))
}

fn job(
    job_id: &str,
    mut claim: HashMap<String, String>,
    progress: Value,
    attempts: Value,
    now: u64,
) -> Result<Option<JobRecord>, StoreError> {
    let progress: Option<String> = from_redis_value(progress).map_err(|_| unreadable("progress"))?;
    let attempts: Vec<String> = from_redis_value(attempts).map_err(|_| unreadable("attempts"))?;
    let attempts: Result<Vec<AttemptRecord>, _> =
        attempts.iter().map(|attempt| read(attempt, "attempts")).collect();
    let (scope, source) = (claim.remove("scope"), claim.remove("source"));
    let job = JobRecord::of(
        job_id,
        if claim.is_empty() { None } else { Some(claim_record(claim, now)?) },
        progress.map(|progress| read(&progress, "progress")).transpose()?,
        attempts?,
    );
    Ok(job.map(|job| JobRecord { scope, source: source.filter(|source| !source.is_empty()), ..job }))
}

fn fields(claim: Value) -> Result<HashMap<String, String>, StoreError> {
    from_redis_value(claim).map_err(|_| unreadable("fields"))
}

fn claim_record(mut fields: HashMap<String, String>, now: u64) -> Result<ClaimRecord, StoreError> {
    let mut take = |name: &'static str| fields.remove(name);
    let number = |text: Option<String>, name| -> Result<u64, StoreError> {
        text.and_then(|text| text.parse().ok()).ok_or_else(|| unreadable(name))
    };
    let claimed_until_ms = number(take("until"), "expiry")?;
    let failure_reason = take("verdict");
    let state = match take("state").as_deref() {
        Some("done") => JobState::Done,
        Some("running") if claimed_until_ms > now => JobState::Running,
        Some("waiting" | "dead") if failure_reason.is_some() => JobState::Failed,
        Some("dead") => JobState::Dead,
        Some("running" | "waiting") => JobState::Waiting,
        _ => return Err(unreadable("state")),
    };
    Ok(ClaimRecord {
        state,
        key: take("key").unwrap_or_default(),
        job_id: take("job").unwrap_or_default(),
        job_type: take("type").unwrap_or_default(),
        queue: take("queue").unwrap_or_default(),
        message_id: take("message").unwrap_or_default(),
        owner: take("owner").unwrap_or_default(),
        attempts: u32::try_from(number(take("attempts"), "attempts")?).unwrap_or(u32::MAX),
        claimed_until_ms,
        finished_at_ms: take("finished").and_then(|finished| finished.parse().ok()),
        failure_reason,
        result: take("result").map(|result| read(&result, "result")).transpose()?,
    })
}

fn raw(text: String, what: &str) -> Result<Box<RawValue>, StoreError> {
    RawValue::from_string(text).map_err(|_| unreadable(what))
}

fn read<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| unreadable(what))
}

/// Returns the error for a value that another program or a newer version has written.
fn unreadable(what: &str) -> StoreError {
    StoreError::Refused(format!("Redis holds a record whose {what} cannot be read").into())
}
