//! Items in the table, and their conversion to records for people.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use drumline::core::Claim;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::record::{AttemptRecord, ClaimRecord, JobRecord, JobState};
use crate::store::{StoreError, now_ms};

/// The status of an item whose job runs or waits.
pub(super) const INPROGRESS: &str = "INPROGRESS";

/// The status of an item whose job is done.
pub(super) const COMPLETED: &str = "COMPLETED";

/// The subject of an item.
#[derive(Debug, Clone, Copy)]
pub(super) enum Id<'a> {
    /// A claim, by the key of its identity.
    Job(&'a str),
    JobProgress(&'a str),
    JobAttempts(&'a str),
    /// The keys of a job id.
    JobIds(&'a str),
    Lock(&'a str),
    /// A document, by its kind and its name.
    Document(&'a str, &'a str),
    /// The names of a kind's documents.
    Documents(&'a str),
    /// The bucket of a rate.
    Tokens(&'a str),
    /// A claim of version 0.1, by its key.
    OldClaim(&'a str),
    /// The key of a job id in version 0.1, and the history that it kept under job ids.
    OldAlias(&'a str),
    OldProgress(&'a str),
    OldAttempts(&'a str),
}

impl Id<'_> {
    /// The partition key.
    pub(super) fn attribute(self) -> AttributeValue {
        let (kind, name) = match self {
            Self::Job(key) => ("job", key),
            Self::JobProgress(key) => ("job-progress", key),
            Self::JobAttempts(key) => ("job-attempts", key),
            Self::JobIds(job_id) => ("jobs", job_id),
            Self::Lock(name) => ("lock", name),
            Self::Document(kind, name) => return AttributeValue::S(format!("document#{kind}#{name}")),
            Self::Documents(kind) => ("documents", kind),
            Self::Tokens(bucket) => ("tokens", bucket),
            Self::OldClaim(key) => ("claim", key),
            Self::OldAlias(job_id) => ("alias", job_id),
            Self::OldProgress(job_id) => ("progress", job_id),
            Self::OldAttempts(job_id) => ("attempts", job_id),
        };
        AttributeValue::S(format!("{kind}#{name}"))
    }
}

pub(super) fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(super) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// Returns a time in milliseconds.
pub(super) fn after(now_ms: u64, length: Duration) -> u64 {
    now_ms.saturating_add(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}

/// Returns an expiry in seconds, as DynamoDB requires, rounded up.
pub(super) fn expiration(now_ms: u64, keep: Duration) -> u64 {
    after(now_ms, keep).div_ceil(1000)
}

/// The attributes of an item of any kind. A missing attribute has its default value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) owner: String,
    pub(super) fencing_token: u64,
    /// In milliseconds.
    pub(super) until: u64,
    /// In seconds.
    pub(super) expiration: u64,
    pub(super) validation: String,
    /// In milliseconds.
    pub(super) finished_at: Option<u64>,
    pub(super) job_id: String,
    pub(super) scope: Option<String>,
    pub(super) job_type: String,
    pub(super) source: Option<String>,
    pub(super) queue: String,
    pub(super) message_id: String,
    /// The attempts of a claim, which are a number.
    pub(super) attempts_made: u32,
    pub(super) nonce: u64,
    pub(super) lock_token: u64,
    /// The number of consecutive claims of the message that were taken over without an ending.
    pub(super) unended: u32,
    pub(super) failure_reason: Option<String>,
    pub(super) is_dead: bool,
    pub(super) checkpoint: Option<String>,
    pub(super) data: Option<String>,
    pub(super) key: Option<String>,
    /// The time of a document's last change, in microseconds.
    pub(super) changed: u64,
    /// The time when a bucket is full, in microseconds.
    pub(super) full_at: u64,
    /// The keys of a job id, or the names of documents.
    pub(super) keys: Vec<String>,
    /// The attempts of a history, as JSON.
    pub(super) attempts: Vec<String>,
}

impl Item {
    pub(super) fn read(attributes: &HashMap<String, AttributeValue>) -> Self {
        let string = |name: &str| attributes.get(name).and_then(|value| value.as_s().ok()).cloned();
        let digits = |name: &str| -> Option<u64> { attributes.get(name)?.as_n().ok()?.parse().ok() };
        let number = |name: &str| digits(name).unwrap_or_default();
        let list = attributes.get("attempts").and_then(|value| value.as_l().ok());
        Self {
            id: string("id").unwrap_or_default(),
            status: string("status").unwrap_or_default(),
            owner: string("owner").unwrap_or_default(),
            fencing_token: number("counter"),
            until: number("in_progress_expiration"),
            expiration: number("expiration"),
            validation: string("validation").unwrap_or_default(),
            finished_at: digits("finished_at"),
            job_id: string("job_id").unwrap_or_default(),
            scope: string("scope"),
            source: string("source"),
            job_type: string("job_type").unwrap_or_default(),
            queue: string("queue").unwrap_or_default(),
            message_id: string("message_id").unwrap_or_default(),
            attempts_made: u32::try_from(number("attempts")).unwrap_or(u32::MAX),
            nonce: number("nonce"),
            lock_token: number("lock_counter"),
            unended: u32::try_from(number("unended")).unwrap_or(u32::MAX),
            failure_reason: string("verdict"),
            is_dead: number("dead") == 1,
            checkpoint: string("checkpoint"),
            data: string("data"),
            key: string("key"),
            changed: number("changed"),
            full_at: number("full_at"),
            keys: attributes.get("keys").and_then(|value| value.as_ss().ok()).cloned().unwrap_or_default(),
            attempts: list.into_iter().flatten().filter_map(|value| value.as_s().ok()).cloned().collect(),
        }
    }

    /// Returns true if the item counts as absent.
    pub(super) fn is_expired(&self, now_ms: u64) -> bool {
        self.expiration <= now_ms / 1000
    }

    pub(super) fn is_done(&self) -> bool {
        self.status == COMPLETED
    }

    pub(super) fn is_surrendered(&self) -> bool {
        self.status == INPROGRESS && self.until == 0
    }

    pub(super) fn is_claimed(&self, now_ms: u64) -> bool {
        self.status == INPROGRESS && self.until > now_ms
    }

    /// Returns true if its claim has expired without an ending.
    pub(super) fn is_unended(&self, now_ms: u64) -> bool {
        self.status == INPROGRESS && self.until > 0 && self.until <= now_ms
    }

    pub(super) fn is_of(&self, claim: &Claim) -> bool {
        self.owner == *claim.owner && self.fencing_token == claim.fencing_token
    }
}

/// Returns the record of a job for people.
pub(super) fn job(
    job_id: &str,
    claim: Option<Item>,
    progress: Option<Item>,
    attempts: Option<Item>,
) -> Result<Option<JobRecord>, StoreError> {
    let attempts: Result<Vec<AttemptRecord>, _> =
        attempts.unwrap_or_default().attempts.iter().map(|attempt| read(attempt, "attempts")).collect();
    let progress = progress.and_then(|progress| progress.data);
    let (scope, source) = claim.as_ref().map(|claim| (claim.scope.clone(), claim.source.clone())).unzip();
    let job = JobRecord::of(
        job_id,
        claim.map(claim_record).transpose()?,
        progress.map(|progress| read(&progress, "progress")).transpose()?,
        attempts?,
    );
    Ok(job.map(|job| JobRecord { scope: scope.flatten(), source: source.flatten(), ..job }))
}

fn claim_record(item: Item) -> Result<ClaimRecord, StoreError> {
    let state = if item.is_done() {
        JobState::Done
    } else if item.is_claimed(now_ms()) {
        JobState::Running
    } else if item.is_surrendered() && item.failure_reason.is_some() {
        JobState::Failed
    } else if item.is_surrendered() && item.is_dead {
        JobState::Dead
    } else {
        JobState::Waiting
    };
    Ok(ClaimRecord {
        state,
        key: item.id.split_once('#').map_or("", |(_, key)| key).to_owned(),
        job_id: item.job_id,
        job_type: item.job_type,
        queue: item.queue,
        message_id: item.message_id,
        owner: item.owner,
        attempts: item.attempts_made,
        claimed_until_ms: item.until,
        finished_at_ms: item.finished_at,
        failure_reason: item.failure_reason,
        result: item.data.map(|data| read(&data, "result")).transpose()?,
    })
}

pub(super) fn raw(text: String) -> Result<Box<RawValue>, StoreError> {
    RawValue::from_string(text).map_err(|_| unreadable("JSON"))
}

fn read<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| unreadable(what))
}

/// Returns the error for an item that another program or a newer version has written.
fn unreadable(what: &str) -> StoreError {
    StoreError::Refused(format!("DynamoDB holds an item whose {what} cannot be read").into())
}
