//! A job as it is shown: the store's records, with one word for its state.

use drumline::core::Outcome;
use serde::{Deserialize, Serialize};

use crate::record::{JobRecord, JobState};

/// The state of a job, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShownState {
    /// A worker runs it.
    Running,
    /// It waits for its next attempt. This is also the state after its worker was killed in the last attempt, until SQS moves
    /// its message to the DLQ.
    Waiting,
    /// It is done.
    Done,
    /// No attempt can succeed.
    Failed,
    /// Its last attempt has failed: SQS moves its message to the DLQ.
    Dead,
    /// There is only history: no worker has claimed it recently.
    Unknown,
}

impl ShownState {
    /// All states, in the order of a job's life.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Waiting, Self::Done, Self::Failed, Self::Dead, Self::Unknown];

    /// Returns the label of the state.
    pub fn label(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
        }
    }

    /// Returns true if the state does not change any more, unless the job is sent again.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Dead)
    }
}

impl From<JobState> for ShownState {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Running => Self::Running,
            JobState::Waiting => Self::Waiting,
            JobState::Done => Self::Done,
            JobState::Failed => Self::Failed,
            JobState::Dead => Self::Dead,
        }
    }
}

/// The response of `/jobs/{id}` and the data of `drumline jobs`: the most recently changed job with this id, and the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// The state.
    pub state: ShownState,
    /// The records of the store.
    #[serde(flatten)]
    pub job: JobRecord,
    /// Further jobs of the same id: in other queues, of other types, or from other sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherJob>,
}

/// A job with the same id as the one that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OtherJob {
    /// The state.
    pub state: ShownState,
    /// Its type.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub job_type: Option<String>,
    /// Its queue's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The scope of its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The source of its event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The id of the message in which it came last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}

/// Selects among the jobs with one id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct JobFilter {
    /// The queue's name.
    pub queue: Option<String>,
    /// The job's type.
    #[serde(rename = "type")]
    pub job_type: Option<String>,
    /// The source of its event.
    pub source: Option<String>,
    /// The id of a message in which it came.
    pub message: Option<String>,
    /// The key of its identity.
    pub key: Option<String>,
}

impl JobFilter {
    /// Returns a filter that accepts only this job, for watchers: another job with its id may change later. A job that was
    /// never claimed cannot be distinguished from others yet.
    pub fn narrowed_to(&self, view: &JobView) -> Self {
        match &view.job.claim {
            Some(claim) => Self { key: Some(claim.key.clone()), ..Self::default() },
            None => self.clone(),
        }
    }

    /// Returns true if the filter selects the job.
    pub fn accepts(&self, job: &JobRecord) -> bool {
        let is = |wanted: &Option<String>, own: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| own.is_some_and(|own| own == wanted))
        };
        // The queue of a duplicate is not kept, so a duplicate matches every queue.
        let is_in_queue = is(&self.queue, queue(job)) || job.duplicate_of.is_some();
        is(&self.key, job.claim.as_ref().map(|claim| claim.key.as_str()))
            && is_in_queue
            && is(&self.source, job.source.as_deref())
            && is(&self.job_type, job_type(job))
            && self.message.as_deref().is_none_or(|id| job.had_message(id))
    }
}

impl JobView {
    /// Returns the view of all jobs that a store knows by one id, newest first. Returns `None` if the filter accepts none of
    /// them.
    pub fn newest(jobs: Vec<JobRecord>, filter: &JobFilter) -> Option<Self> {
        let mut jobs = jobs.into_iter().filter(|job| filter.accepts(job));
        let newest = Self::from(jobs.next()?);
        Some(Self { others: jobs.map(OtherJob::from).collect(), ..newest })
    }
}

impl From<JobRecord> for JobView {
    fn from(mut job: JobRecord) -> Self {
        let state = state(&job);
        if state == ShownState::Failed {
            // The job was refused, and not skipped.
            job.duplicate_of = None;
        }
        Self { state, job, others: Vec::new() }
    }
}

impl From<JobRecord> for OtherJob {
    fn from(job: JobRecord) -> Self {
        let last = job.attempts.last();
        let message_id =
            job.claim.as_ref().map(|claim| &claim.message_id).or(last.map(|last| &last.message_id));
        Self {
            state: state(&job),
            job_type: job_type(&job).map(str::to_owned),
            queue: queue(&job).map(str::to_owned),
            message_id: message_id.cloned(),
            scope: job.scope,
            source: job.source,
        }
    }
}

/// Returns the queue from which a job came last, if it is known.
pub fn queue(job: &JobRecord) -> Option<&str> {
    let claimed = job.claim.as_ref().map(|claim| claim.queue.as_str());
    claimed.or_else(|| Some(job.attempts.last()?.queue.as_str()))
}

/// Returns the type of a job, if it is known.
pub fn job_type(job: &JobRecord) -> Option<&str> {
    let claimed = job.claim.as_ref().map(|claim| claim.job_type.as_str());
    claimed.or_else(|| job.attempts.last()?.job_type.as_deref())
}

fn state(job: &JobRecord) -> ShownState {
    if job.duplicate_of.is_some() && was_dead_lettered_itself(job) {
        return ShownState::Failed;
    }
    match &job.claim {
        Some(claim) => claim.state.into(),
        // A message that is no job is never claimed, but has failed permanently.
        None if was_dead_lettered(job) => ShownState::Failed,
        None if job.attempts.last().is_some_and(|last| last.last_attempt) => ShownState::Dead,
        None => ShownState::Unknown,
    }
}

/// Returns true if this job itself failed permanently although a job of the same identity has run under another id: its payload
/// is different.
fn was_dead_lettered_itself(job: &JobRecord) -> bool {
    let label = Outcome::DeadLetter(String::new()).label();
    let own = job.attempts.iter().rfind(|attempt| attempt.job_id.as_deref() == Some(&*job.job_id));
    own.is_some_and(|attempt| attempt.outcome == label)
}

fn was_dead_lettered(job: &JobRecord) -> bool {
    let label = Outcome::DeadLetter(String::new()).label();
    job.attempts.last().is_some_and(|attempt| attempt.outcome == label)
}
