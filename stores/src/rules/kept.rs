//! The record of an identity, and the rules for its changes.

use std::time::Duration;

use drumline::core::{ClaimRequest, ClaimResult, PriorRun, Takeover};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::record::{AttemptRecord, ClaimRecord, JobRecord, JobState, ProgressRecord};
use crate::store::takeover;

/// The largest count of consecutive claims.
const MAX_UNENDED: u32 = 255;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(super) state: State,
    pub(super) owner: String,
    pub(super) token: u64,
    /// The end of the claim; if the job is not running, the time when it ended.
    pub(crate) until: u64,
    /// A hash of the type and the payload, in hexadecimal.
    pub(super) payload: String,
    pub(crate) scope: String,
    pub(super) job_type: String,
    pub(crate) source: Option<String>,
    pub(crate) job_id: String,
    pub(super) queue: String,
    pub(crate) message_id: String,
    pub(super) attempts: u32,
    /// The number of consecutive claims of this message that were taken over without an ending.
    pub(super) unended: u32,
    pub(super) verdict: Option<String>,
    /// The checkpoint as JSON, unchanged.
    pub(super) checkpoint: Option<String>,
    pub(super) result: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Running,
    Waiting,
    Done,
    /// Its last attempt has failed.
    Dead,
}

pub(super) fn payload(request: &ClaimRequest) -> String {
    format!("{:032x}", request.payload_hash)
}

/// Parses a JSON value that a store has kept.
pub(super) fn value(text: Option<&str>) -> Option<Box<RawValue>> {
    RawValue::from_string(text?.to_owned()).ok()
}

impl Kept {
    pub(super) fn is_claimed(&self, now: u64) -> bool {
        self.state == State::Running && self.until > now
    }

    /// Returns the reason in this record why a claim is not granted, if there is one.
    pub(super) fn refusal(&self, request: &ClaimRequest, now: u64) -> Option<ClaimResult> {
        let is_claimed = self.is_claimed(now);
        if (is_claimed || self.state == State::Done) && self.payload != payload(request) {
            return Some(ClaimResult::Mismatch);
        }
        if self.state == State::Done {
            return Some(ClaimResult::Done(Box::new(PriorRun {
                result: value(self.result.as_deref()),
                job_id: self.job_id.clone(),
                message_id: self.message_id.clone(),
                queue: self.queue.clone(),
                worker: self.owner.clone(),
                finished_at_ms: Some(self.until),
            })));
        }
        if let Some(verdict) = &self.verdict
            && *self.message_id == *request.message_id
        {
            return Some(ClaimResult::FailedPermanently(verdict.clone()));
        }
        is_claimed.then(|| ClaimResult::Busy(Duration::from_millis(self.until - now)))
    }

    /// Returns the record of the claim that is granted after this one.
    pub(super) fn granted(
        before: Option<&Self>,
        request: &ClaimRequest,
        owner: &str,
        token: u64,
        until: u64,
    ) -> (Self, Option<Takeover>) {
        let same_message = before.filter(|before| *before.message_id == *request.message_id);
        let same_payload = before.filter(|before| before.payload == payload(request));
        let is_unended = before.is_some_and(|before| before.state == State::Running);
        let unended = same_message.filter(|_| is_unended);
        let unended = unended.map_or(0, |before| before.unended.saturating_add(1).min(MAX_UNENDED));
        let identity = &request.identity;
        let record = Self {
            state: State::Running,
            owner: owner.to_owned(),
            token,
            until,
            payload: payload(request),
            scope: identity.scope().to_string(),
            job_type: identity.job_type().to_string(),
            source: identity.source().map(ToString::to_string),
            job_id: identity.job_id().to_string(),
            queue: request.queue.to_string(),
            message_id: request.message_id.to_string(),
            attempts: same_message.map_or(1, |before| before.attempts.saturating_add(1)),
            unended,
            verdict: None,
            checkpoint: same_payload.and_then(|before| before.checkpoint.clone()),
            result: None,
        };
        let former = before.filter(|_| is_unended).and_then(|before| takeover(&before.owner, unended));
        (record, former)
    }

    /// Returns the job for people: this record and its history. Returns `None` if nothing is kept under the key.
    pub(crate) fn job(
        kept: Option<Self>,
        job_id: &str,
        key: String,
        progress: Option<ProgressRecord>,
        attempts: Vec<AttemptRecord>,
        now: u64,
    ) -> Option<JobRecord> {
        let claim = kept.as_ref().map(|kept| kept.shown(key, now));
        let job = JobRecord::of(job_id, claim, progress, attempts)?;
        let (scope, source) = kept.map_or((None, None), |kept| (Some(kept.scope), kept.source));
        Some(JobRecord { scope, source, ..job })
    }

    /// Returns the claim for people.
    fn shown(&self, key: String, now: u64) -> ClaimRecord {
        let state = match self.state {
            State::Done => JobState::Done,
            State::Running if self.is_claimed(now) => JobState::Running,
            State::Waiting | State::Dead if self.verdict.is_some() => JobState::Failed,
            State::Dead => JobState::Dead,
            State::Running | State::Waiting => JobState::Waiting,
        };
        ClaimRecord {
            state,
            key,
            job_id: self.job_id.clone(),
            job_type: self.job_type.clone(),
            queue: self.queue.clone(),
            message_id: self.message_id.clone(),
            owner: self.owner.clone(),
            attempts: self.attempts,
            claimed_until_ms: self.until,
            finished_at_ms: (state == JobState::Done).then_some(self.until),
            failure_reason: self.verdict.clone(),
            result: self.result.as_deref().and_then(|result| serde_json::from_str(result).ok()),
        }
    }
}
