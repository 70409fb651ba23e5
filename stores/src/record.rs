//! The records of a job, as they are shown to people: by `drumline jobs`, `drumline dlq` and `/jobs/{id}`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many failed attempts are kept of a job; the oldest go first. A queue's `maxReceiveCount` is seldom above 20.
pub const MAX_ATTEMPTS_KEPT: usize = 50;

/// How many jobs are returned for one job id. Different jobs share an id where it was sent to several queues, or where
/// several producers count from 1: more than this is no answer for people, and each one costs a read.
pub const MAX_MATCHES: usize = 20;

/// The most jobs that are looked at for one question, of those that changed last: a megabyte or so.
pub const MAX_RECENT: usize = 1_000;

/// All that a store knows of a job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRecord {
    /// The id that it was looked up by.
    pub job_id: String,
    /// The scope of its identity, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The source of its identity, if it has one and it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its claim, if there is or was one. For a duplicate, the claim of the job that it duplicates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimRecord>,
    /// The job that was run in its place: one of the same identity, under another job id, that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<DuplicateOf>,
    /// How far it is, as it told last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressRecord>,
    /// Its attempts that did not succeed, the oldest first.
    pub attempts: Vec<AttemptRecord>,
}

impl JobRecord {
    /// Returns true if the job came in this message, as far as is known.
    pub fn had_message(&self, message_id: &str) -> bool {
        let claimed = self.claim.as_ref().is_some_and(|claim| claim.message_id == message_id);
        claimed || self.attempts.iter().any(|attempt| attempt.message_id == message_id)
    }
}

/// The run that a duplicate was not run for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DuplicateOf {
    /// The job id that it ran under.
    pub job_id: String,
    /// The message that it ran for.
    pub message_id: String,
    /// The name of that message's queue.
    pub queue: String,
    /// The process that ran it.
    pub worker: String,
    /// When it succeeded, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at_ms: Option<u64>,
}

/// The claim of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimRecord {
    /// How far the job is.
    pub state: JobState,
    /// The key of its identity, under which its effect happens once.
    pub key: String,
    /// The job id that it ran under last. Another one than that of the record for a job of the same identity.
    #[serde(default)]
    pub job_id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub job_type: String,
    /// The queue it came from last.
    pub queue: String,
    /// The message it came in last.
    pub message_id: String,
    /// Who has it, or had it last.
    pub owner: String,
    /// The attempts counted at that message.
    pub attempts: u32,
    /// Until when it is claimed, in milliseconds since the Unix epoch.
    pub claimed_until_ms: u64,
    /// When it succeeded, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at_ms: Option<u64>,
    /// Why it has failed for good.
    #[serde(rename = "verdict", skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// What it left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Somebody works on it.
    Running,
    /// Nobody does: it waits for its next attempt.
    Waiting,
    /// It is done.
    Done,
    /// No attempt can succeed.
    Failed,
    /// Its last attempt has failed: the message was received as often as its queue allows, so SQS moves it to the DLQ.
    Dead,
}

/// One attempt that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptRecord {
    /// When it ended, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The message's id.
    pub message_id: String,
    /// The job id that it was made under: jobs of one identity share their history. Version 0.1 did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// The queue.
    pub queue: String,
    /// The job's type, where it is known.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub job_type: Option<String>,
    /// Which attempt it was.
    pub attempt: u32,
    /// How often the message had been received.
    pub receive_count: u32,
    /// The process that made it.
    pub worker: String,
    /// From its start to its end.
    pub took_ms: u64,
    /// What kind of failure: the `class` of `drumline_failures_total`.
    pub class: String,
    /// In words, bounded and with what looks like a secret blotted out.
    pub reason: String,
    /// What became of the message: the `outcome` of `drumline_jobs_total`.
    pub outcome: String,
    /// When it is to come back, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    /// It was the message's last: SQS moves the message to the DLQ instead of handing it out again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last_attempt: bool,
}

/// How far a job is, in units of its own work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgressRecord {
    /// When it told, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// What is counted.
    pub unit: String,
}
