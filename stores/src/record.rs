//! The records of a job for people: shown by `drumline jobs`, `drumline dlq` and `/jobs/{id}`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The largest number of failed attempts that are kept of a job; the oldest are dropped first. A queue's `maxReceiveCount` is
/// seldom above 20.
pub const MAX_ATTEMPTS_KEPT: usize = 50;

/// The largest number of jobs that are returned for one job id. Different jobs share an id if the job was sent to several
/// queues, or if several producers count from 1: a longer list would not help people, and each job costs a read.
pub const MAX_MATCHES: usize = 20;

/// The largest number of recently changed jobs that are searched for one request: about a megabyte.
pub const MAX_RECENT: usize = 1_000;

/// All data that a store has about a job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRecord {
    /// The id by which it was looked up.
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
    /// The job that ran in its place: it succeeded with the same identity under another job id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<DuplicateOf>,
    /// Its latest progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressRecord>,
    /// Its failed attempts, oldest first.
    pub attempts: Vec<AttemptRecord>,
}

impl JobRecord {
    /// Returns true if the job is known to have come in this message.
    pub fn had_message(&self, message_id: &str) -> bool {
        let claimed = self.claim.as_ref().is_some_and(|claim| claim.message_id == message_id);
        claimed || self.attempts.iter().any(|attempt| attempt.message_id == message_id)
    }
}

/// The run because of which a duplicate did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DuplicateOf {
    /// The job id under which it ran.
    pub job_id: String,
    /// The message for which it ran.
    pub message_id: String,
    /// The name of that message's queue.
    pub queue: String,
    /// The process that ran it.
    pub worker: String,
    /// The time of its success, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at_ms: Option<u64>,
}

/// The claim of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimRecord {
    /// The state of the job.
    pub state: JobState,
    /// The key of its identity, which is its idempotency key with scope, type and source.
    pub key: String,
    /// The job id under which it last ran. For a job of the same identity, it differs from the record's job id.
    #[serde(default)]
    pub job_id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub job_type: String,
    /// The queue from which it last came.
    pub queue: String,
    /// The message in which it last came.
    pub message_id: String,
    /// The process that holds it or held it last.
    pub owner: String,
    /// The number of attempts for that message.
    pub attempts: u32,
    /// The end of the claim, in milliseconds since the Unix epoch.
    pub claimed_until_ms: u64,
    /// The time of its success, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at_ms: Option<u64>,
    /// The reason why it has failed permanently.
    #[serde(rename = "verdict", skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// The result of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// A worker runs it.
    Running,
    /// It waits for its next attempt.
    Waiting,
    /// It is done.
    Done,
    /// No attempt can succeed.
    Failed,
    /// Its last attempt has failed: the message was received as often as its queue allows, so SQS moves it to the DLQ.
    Dead,
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptRecord {
    /// The time of its end, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The message's id.
    pub message_id: String,
    /// The job id under which it ran: jobs with one identity share their history. Version 0.1 did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// The queue.
    pub queue: String,
    /// The job's type, if it is known.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub job_type: Option<String>,
    /// The number of the attempt.
    pub attempt: u32,
    /// The number of receives of the message at that time.
    pub receive_count: u32,
    /// The process that ran it.
    pub worker: String,
    /// The duration of the attempt.
    pub took_ms: u64,
    /// The kind of failure: the `class` of `drumline_failures_total`.
    pub class: String,
    /// The reason as text: of limited length, with texts that look like secrets removed.
    pub reason: String,
    /// The outcome of the message: the `outcome` of `drumline_jobs_total`.
    pub outcome: String,
    /// The time until the next attempt, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    /// True if it was the message's last attempt: SQS moves the message to the DLQ instead of redelivering it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last_attempt: bool,
    /// The last lines that it logged, the oldest first, if they are kept (`attempt_log`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

/// The progress of a job in its own units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgressRecord {
    /// The time of the report, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The number of units done.
    pub done: u64,
    /// The total number of units.
    pub total: u64,
    /// The unit.
    pub unit: String,
}
