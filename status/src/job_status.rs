//! A job as its user sees it: without the names of workers, queues and messages.

use drumline_store::job_view::{JobView, ShownState, job_type};
use drumline_store::{AttemptRecord, JobRecord, ProgressRecord};
use serde::Serialize;
use serde_json::Value;

/// The state of a job that was sent, and that no worker has begun.
const SENT: &str = "sent";

/// A job as JSON. Its fields have the names that they have in `/jobs/{id}` of a worker.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct JobStatus {
    /// `sent`, `running`, `waiting` (for its next attempt), `done`, `failed` (no attempt can succeed), `dead` (its last attempt has
    /// failed), or `unknown` (there is history, and no worker has claimed the job lately).
    pub state: &'static str,
    /// The job has ended: nothing more comes unless it is sent again.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// The job's id.
    pub job_id: String,
    /// Its type, if it is known.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub job_type: Option<String>,
    /// How far it is, as its handler reported last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressRecord>,
    /// Its attempts that did not succeed, the oldest first.
    pub attempts: Vec<StatusAttempt>,
    /// The reason why no attempt can succeed.
    #[serde(rename = "verdict", skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// The time at which it succeeded, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at_ms: Option<u64>,
    /// The value that its handler set as its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

/// An attempt that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StatusAttempt {
    /// The time at which it ended, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// Its duration.
    pub took_ms: u64,
    /// The kind of failure: the `class` of `drumline_failures_total`.
    pub class: String,
    /// The reason, bounded, and with anything that looks like a secret redacted.
    pub reason: String,
    /// The consequence for the message: the `outcome` of `drumline_jobs_total`.
    pub outcome: String,
    /// The delay before the next attempt, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    /// The last lines that it logged, the oldest first, if they are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

impl JobStatus {
    /// The status of a job that was sent and of which nothing is known yet.
    pub fn sent(job_id: impl Into<String>) -> Self {
        Self {
            state: SENT,
            is_final: false,
            job_id: job_id.into(),
            job_type: None,
            progress: None,
            attempts: Vec::new(),
            failure_reason: None,
            finished_at_ms: None,
            result: None,
        }
    }

    /// Returns the status without the log lines of its attempts.
    #[must_use]
    pub fn without_log(mut self) -> Self {
        for attempt in &mut self.attempts {
            attempt.log.clear();
        }
        self
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a status is made of texts and numbers")
    }
}

impl From<JobRecord> for JobStatus {
    fn from(record: JobRecord) -> Self {
        let JobView { state, job, .. } = JobView::from(record);
        let job_type = job_type(&job).map(str::to_owned);
        // A job that was refused since another one ran under its identity must not show that one's result.
        let claim = job.claim.filter(|claim| state == ShownState::from(claim.state));
        let (failure_reason, finished_at_ms, result) =
            claim.map(|claim| (claim.failure_reason, claim.finished_at_ms, claim.result)).unwrap_or_default();
        Self {
            state: state.label(),
            is_final: state.is_final(),
            job_id: job.job_id,
            job_type,
            progress: job.progress,
            attempts: job.attempts.into_iter().map(StatusAttempt::from).collect(),
            failure_reason,
            finished_at_ms,
            result,
        }
    }
}

impl From<AttemptRecord> for StatusAttempt {
    fn from(attempt: AttemptRecord) -> Self {
        Self {
            at_ms: attempt.at_ms,
            attempt: attempt.attempt,
            took_ms: attempt.took_ms,
            class: attempt.class,
            reason: attempt.reason,
            outcome: attempt.outcome,
            retry_in_ms: attempt.retry_in_ms,
            log: attempt.log,
        }
    }
}
