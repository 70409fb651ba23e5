//! What Redis answers, in the words of a store.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use drumline::{Admission, Claim, ClaimRequest, Grant};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::record::{AttemptRecord, ClaimRecord, JobRecord, JobState};
use crate::store::StoreError;

/// What `claim.lua` answers: a word, two numbers, a text and another number.
pub(super) type Asked = (String, u64, u32, Option<String>, u64);

/// The alias, the claim, the progress, the attempts, and the time in seconds and microseconds.
pub(super) type JobAnswer =
    (Option<String>, HashMap<String, String>, Option<String>, Vec<String>, (u64, u64));

pub(super) fn admission(
    (word, number, attempts, text, lock_counter): Asked,
    request: &ClaimRequest,
    owner: &Arc<str>,
) -> Result<Admission, StoreError> {
    Ok(match word.as_str() {
        "granted" => {
            let claim = Claim {
                key: Arc::clone(&request.key),
                owner: Arc::clone(owner),
                counter: number,
                lock: request.lock.clone().map(|lock| (lock, lock_counter)),
                job_id: Arc::clone(&request.job_id),
            };
            Admission::Granted(Grant {
                claim: Arc::new(claim),
                attempt: NonZeroU32::new(attempts).ok_or_else(|| unreadable("attempts"))?,
                checkpoint: text.map(|text| raw(text, "checkpoint")).transpose()?,
            })
        }
        "done" => Admission::Done(text.map(|text| raw(text, "result")).transpose()?),
        "condemned" => Admission::Condemned(text.unwrap_or_default()),
        "held" => Admission::Held(Duration::from_millis(number)),
        "locked" => Admission::Locked(Duration::from_millis(number)),
        "mismatch" => Admission::Mismatch,
        _ => return Err(unreadable("answer")),
    })
}

pub(super) fn job(
    job_id: &str,
    claim: HashMap<String, String>,
    progress: Option<String>,
    attempts: &[String],
    (seconds, micros): (u64, u64),
) -> Result<Option<JobRecord>, StoreError> {
    // A key may have gone to another job.
    let claim = if claim.get("job").is_some_and(|owner| owner == job_id) { claim } else { HashMap::new() };
    if claim.is_empty() && progress.is_none() && attempts.is_empty() {
        return Ok(None);
    }
    let now = seconds * 1000 + micros / 1000;
    let attempts: Result<Vec<AttemptRecord>, _> =
        attempts.iter().map(|attempt| read(attempt, "attempts")).collect();
    Ok(Some(JobRecord {
        job_id: job_id.to_owned(),
        claim: if claim.is_empty() { None } else { Some(claim_record(claim, now)?) },
        progress: progress.map(|progress| read(&progress, "progress")).transpose()?,
        attempts: attempts?,
    }))
}

fn claim_record(mut fields: HashMap<String, String>, now: u64) -> Result<ClaimRecord, StoreError> {
    let mut take = |name: &'static str| fields.remove(name);
    let number = |text: Option<String>, name| -> Result<u64, StoreError> {
        text.and_then(|text| text.parse().ok()).ok_or_else(|| unreadable(name))
    };
    let claimed_until_ms = number(take("until"), "expiry")?;
    let verdict = take("verdict");
    let state = match take("state").as_deref() {
        Some("done") => JobState::Done,
        Some("running") if claimed_until_ms > now => JobState::Running,
        Some("waiting") if verdict.is_some() => JobState::Failed,
        Some("running" | "waiting") => JobState::Waiting,
        _ => return Err(unreadable("state")),
    };
    Ok(ClaimRecord {
        state,
        key: take("key").unwrap_or_default(),
        job_type: take("type").unwrap_or_default(),
        queue: take("queue").unwrap_or_default(),
        message_id: take("message").unwrap_or_default(),
        owner: take("owner").unwrap_or_default(),
        attempts: u32::try_from(number(take("attempts"), "attempts")?).unwrap_or(u32::MAX),
        claimed_until_ms,
        verdict,
        result: take("result").map(|result| read(&result, "result")).transpose()?,
    })
}

fn raw(text: String, what: &str) -> Result<Box<RawValue>, StoreError> {
    RawValue::from_string(text).map_err(|_| unreadable(what))
}

fn read<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| unreadable(what))
}

/// Somebody else has written there, or a newer version of this.
fn unreadable(what: &str) -> StoreError {
    StoreError(format!("Redis holds a record whose {what} cannot be read"))
}
