//! A job as it is shown: what the store knows of it, under one word for how far it is.

use drumline::core::Outcome;
use drumline_store::{JobRecord, JobState};
use serde::{Deserialize, Serialize};

/// How far a job is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShownState {
    /// A worker runs it.
    Running,
    /// It waits for its next attempt. Or its worker was killed in its last one, and SQS moves its message to the DLQ.
    Waiting,
    /// It is done.
    Done,
    /// No attempt can succeed.
    Failed,
    /// Its last attempt has failed: SQS moves its message to the DLQ.
    Dead,
    /// There is history only: no worker has claimed it lately.
    Unknown,
}

impl ShownState {
    /// Every state, in the order of a job's life.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Waiting, Self::Done, Self::Failed, Self::Dead, Self::Unknown];

    /// Returns the word for it.
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

    /// Returns true if nothing more comes, unless the job is sent again.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Dead)
    }
}

/// The answer of `/jobs/{id}`, and what `drumline jobs` shows: the job of this id that changed last, and the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// How far it is.
    pub state: ShownState,
    /// The records of the store.
    #[serde(flatten)]
    pub job: JobRecord,
    /// Further jobs of the same id: in other queues, of other types, or from other sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherJob>,
}

/// A job that has its id in common with the one that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OtherJob {
    /// How far it is.
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
    /// The id of the message that it came in last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}

/// Selects among the jobs of one id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct JobFilter {
    /// The queue's name.
    pub queue: Option<String>,
    /// The job's type.
    #[serde(rename = "type")]
    pub job_type: Option<String>,
    /// The source of its event.
    pub source: Option<String>,
    /// The id of a message that it came in.
    pub message: Option<String>,
    /// The key of its identity.
    pub key: Option<String>,
}

impl JobFilter {
    /// Returns a filter that accepts this job alone, for watchers: another job of its id may change later. A job that was
    /// never claimed cannot be distinguished from others yet.
    pub fn narrowed_to(&self, view: &JobView) -> Self {
        match &view.job.claim {
            Some(claim) => Self { key: Some(claim.key.clone()), ..Self::default() },
            None => self.clone(),
        }
    }

    pub(crate) fn accepts(&self, job: &JobRecord) -> bool {
        let is = |wanted: &Option<String>, own: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| own.is_some_and(|own| own == wanted))
        };
        // The queue that a duplicate came from is not kept: it is shown in any.
        let is_in_queue = is(&self.queue, queue(job)) || job.duplicate_of.is_some();
        is(&self.key, job.claim.as_ref().map(|claim| claim.key.as_str()))
            && is_in_queue
            && is(&self.source, job.source.as_deref())
            && is(&self.job_type, job_type(job))
            && self.message.as_deref().is_none_or(|id| job.had_message(id))
    }
}

impl JobView {
    /// The view of all that a store knows by one id, the newest first. `None` if the filter accepts none of it.
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
            // It was refused, and not skipped.
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

/// The queue that a job came from last, if it is known.
pub fn queue(job: &JobRecord) -> Option<&str> {
    let claimed = job.claim.as_ref().map(|claim| claim.queue.as_str());
    claimed.or_else(|| Some(job.attempts.last()?.queue.as_str()))
}

/// The type of a job, if it is known.
pub fn job_type(job: &JobRecord) -> Option<&str> {
    let claimed = job.claim.as_ref().map(|claim| claim.job_type.as_str());
    claimed.or_else(|| job.attempts.last()?.job_type.as_deref())
}

fn state(job: &JobRecord) -> ShownState {
    if job.duplicate_of.is_some() && was_dead_lettered_itself(job) {
        return ShownState::Failed;
    }
    match job.claim.as_ref().map(|claim| claim.state) {
        Some(JobState::Running) => ShownState::Running,
        Some(JobState::Waiting) => ShownState::Waiting,
        Some(JobState::Done) => ShownState::Done,
        Some(JobState::Failed) => ShownState::Failed,
        Some(JobState::Dead) => ShownState::Dead,
        // What is no job at all is never claimed, and has failed for good all the same.
        None if was_dead_lettered(job) => ShownState::Failed,
        None if job.attempts.last().is_some_and(|last| last.last_attempt) => ShownState::Dead,
        None => ShownState::Unknown,
    }
}

/// A job of the same identity has run under another id, and this one failed permanently: its payload is another one.
fn was_dead_lettered_itself(job: &JobRecord) -> bool {
    let label = Outcome::DeadLetter(String::new()).label();
    let own = job.attempts.iter().rfind(|attempt| attempt.job_id.as_deref() == Some(&*job.job_id));
    own.is_some_and(|attempt| attempt.outcome == label)
}

fn was_dead_lettered(job: &JobRecord) -> bool {
    let label = Outcome::DeadLetter(String::new()).label();
    job.attempts.last().is_some_and(|attempt| attempt.outcome == label)
}

#[cfg(test)]
pub(crate) mod examples;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline_store::{AttemptRecord, ClaimRecord, DuplicateOf};

    use super::examples::{attempt, claim, job};
    use super::*;

    #[test]
    fn the_claim_tells_how_far_a_job_is_and_without_one_its_history_does() {
        let failed = || attempt("retry", "no route");
        let condemned = || attempt("dead_letter", "no such user");
        let last = || drumline_store::AttemptRecord { last_attempt: true, ..failed() };
        let table = [
            (job(Some(claim(JobState::Running)), vec![condemned()]), ShownState::Running),
            (job(Some(claim(JobState::Waiting)), vec![failed()]), ShownState::Waiting),
            (job(Some(claim(JobState::Done)), vec![condemned()]), ShownState::Done),
            (job(Some(claim(JobState::Failed)), Vec::new()), ShownState::Failed),
            (job(Some(claim(JobState::Dead)), vec![failed()]), ShownState::Dead),
            (job(Some(claim(JobState::Waiting)), vec![last()]), ShownState::Waiting),
            (job(None, vec![failed(), last()]), ShownState::Dead),
            (job(None, vec![last(), failed()]), ShownState::Unknown),
            (job(None, vec![failed(), condemned()]), ShownState::Failed),
            (job(None, vec![condemned(), failed()]), ShownState::Unknown),
            (job(None, Vec::new()), ShownState::Unknown),
        ];
        for (record, state) in table {
            assert_eq!(JobView::from(record.clone()).state, state, "{record:?}");
        }
    }

    #[test]
    fn it_is_the_record_with_a_state_on_top() {
        let view = JobView::from(job(Some(claim(JobState::Done)), vec![attempt("retry", "no route")]));
        let json = serde_json::to_value(&view).unwrap();
        assert_eq!((&json["state"], &json["jobId"]), (&"done".into(), &"j-1".into()));
        assert_eq!(json["attempts"][0]["reason"], "no route");
        assert_eq!(json["state"], view.state.label());
        assert_eq!(serde_json::from_value::<JobView>(json).unwrap(), view);
    }

    #[test]
    fn the_newest_that_the_filter_accepts_is_shown_and_the_others_are_listed() {
        let in_queue = |queue: &str, job_type: &str, message: &str| {
            let mut claim = claim(JobState::Done);
            (claim.queue, claim.job_type, claim.message_id) = (queue.into(), job_type.into(), message.into());
            job(Some(claim), Vec::new())
        };
        let jobs = vec![
            in_queue("a", "order.paid", "m-1"),
            in_queue("b", "order.paid", "m-2"),
            in_queue("a", "order.sent", "m-3"),
            job(None, vec![attempt("retry", "no route")]),
        ];
        let filter = |queue: Option<&str>, job_type: Option<&str>, message: Option<&str>| JobFilter {
            queue: queue.map(str::to_owned),
            job_type: job_type.map(str::to_owned),
            message: message.map(str::to_owned),
            ..JobFilter::default()
        };
        let table = [
            (filter(None, None, None), Some(0), 3),
            (filter(Some("b"), None, None), Some(1), 0),
            (filter(Some("a"), None, None), Some(0), 1),
            (filter(None, Some("order.sent"), None), Some(2), 0),
            (filter(Some("jobs"), Some("email.send"), None), Some(3), 0),
            (filter(None, None, Some("m-3")), Some(2), 0),
            (filter(None, None, Some("m-1")), Some(0), 1),
            (filter(Some("b"), Some("order.sent"), None), None, 0),
        ];
        for (filter, shown, others) in table {
            let view = JobView::newest(jobs.clone(), &filter);
            let found = view.as_ref().map(|view| (&view.job, view.others.len()));
            assert_eq!(found, shown.map(|index: usize| (&jobs[index], others)), "{filter:?}");
        }
        let view = JobView::newest(jobs, &JobFilter::default()).unwrap();
        let other =
            job(Some(ClaimRecord { key: "other".to_owned(), ..claim(JobState::Running) }), Vec::new());
        let jobs = vec![other, view.job.clone()];
        assert_eq!(
            JobView::newest(jobs, &JobFilter::default().narrowed_to(&view)).unwrap().job,
            view.job,
            "a watched job stays the same"
        );
        let json = serde_json::to_value(&view).unwrap();
        assert_eq!((&json["jobId"], &json["claim"]["queue"]), (&"j-1".into(), &"a".into()));
        assert_eq!((&json["others"][0]["queue"], &json["others"][0]["state"]), (&"b".into(), &"done".into()));
        assert_eq!(serde_json::from_value::<JobView>(json).unwrap(), view);
    }

    fn original_run() -> DuplicateOf {
        DuplicateOf {
            job_id: "j-0".to_owned(),
            message_id: "m-0".to_owned(),
            queue: "jobs".to_owned(),
            worker: "host-7".to_owned(),
            finished_at_ms: None,
        }
    }

    #[test]
    fn a_job_with_another_payload_than_the_one_that_ran_has_failed() {
        let mut original = claim(JobState::Done);
        original.job_id = "j-0".to_owned();
        let own = |outcome: &str| AttemptRecord {
            job_id: Some("j-1".to_owned()),
            ..attempt(outcome, "runs or has run with another payload")
        };
        let other = AttemptRecord { job_id: Some("j-0".to_owned()), ..attempt("dead_letter", "never") };
        let duplicate = |attempts: Vec<AttemptRecord>| {
            let mut record = job(Some(original.clone()), attempts);
            record.duplicate_of = Some(original_run());
            JobView::from(record)
        };
        let table = [
            (vec![], ShownState::Done),
            (vec![other.clone()], ShownState::Done),
            (vec![own("retry"), other.clone()], ShownState::Done),
            (vec![own("retry"), own("dead_letter"), other], ShownState::Failed),
        ];
        for (attempts, state) in table {
            let view = duplicate(attempts);
            assert_eq!((view.state, view.job.duplicate_of.is_some()), (state, state == ShownState::Done));
        }
    }

    #[test]
    fn a_duplicate_is_found_in_whichever_queue_it_came_from() {
        let mut record = job(Some(claim(JobState::Done)), Vec::new());
        record.duplicate_of = Some(original_run());
        let filter = JobFilter { queue: Some("low".to_owned()), ..JobFilter::default() };
        assert!(JobView::newest(vec![record], &filter).is_some());
    }
}
