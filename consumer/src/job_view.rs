//! A job as it is shown: what the store knows of it, under one word for how far it is.

use drumline::Outcome;
use drumline_store::{JobRecord, JobState};
use serde::{Deserialize, Serialize};

/// How far a job is, as programs and people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ShownState {
    /// Somebody works on it.
    Running,
    /// Nobody does: it waits for its next attempt, or for the redrive policy.
    Waiting,
    /// It is done.
    Done,
    /// No attempt can succeed.
    Failed,
    /// There is history only: nobody has claimed it lately.
    Unknown,
}

impl ShownState {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// Whether nothing more comes, unless somebody sends the job again.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

/// What `/jobs/{id}` answers, and `drumline jobs` shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobView {
    pub(crate) state: ShownState,
    #[serde(flatten)]
    pub(crate) job: JobRecord,
}

impl From<JobRecord> for JobView {
    fn from(job: JobRecord) -> Self {
        Self { state: state(&job), job }
    }
}

fn state(job: &JobRecord) -> ShownState {
    match job.claim.as_ref().map(|claim| claim.state) {
        Some(JobState::Running) => ShownState::Running,
        Some(JobState::Waiting) => ShownState::Waiting,
        Some(JobState::Done) => ShownState::Done,
        Some(JobState::Failed) => ShownState::Failed,
        // What is no job at all is never claimed, and has failed for good all the same.
        None if was_dead_lettered(job) => ShownState::Failed,
        None => ShownState::Unknown,
    }
}

fn was_dead_lettered(job: &JobRecord) -> bool {
    let label = Outcome::DeadLetter(String::new()).label();
    job.attempts.last().is_some_and(|attempt| attempt.outcome == label)
}

#[cfg(test)]
pub(crate) mod examples {
    //! Records for tests.

    use drumline_store::{AttemptRecord, ClaimRecord, JobRecord, JobState};

    pub(crate) fn attempt(outcome: &str, reason: &str) -> AttemptRecord {
        AttemptRecord {
            at_ms: 1_700_000_000_000,
            message_id: "m-1".to_owned(),
            queue: "jobs".to_owned(),
            job_type: Some("email.send".to_owned()),
            attempt: 2,
            receive_count: 3,
            worker: "host-7".to_owned(),
            took_ms: 1_250,
            class: "rejected".to_owned(),
            reason: reason.to_owned(),
            outcome: outcome.to_owned(),
            retry_in_ms: None,
        }
    }

    pub(crate) fn claim(state: JobState) -> ClaimRecord {
        ClaimRecord {
            state,
            key: "j-1".to_owned(),
            job_type: "email.send".to_owned(),
            queue: "jobs".to_owned(),
            message_id: "m-1".to_owned(),
            owner: "host-7".to_owned(),
            attempts: 2,
            claimed_until_ms: 1_700_000_030_000,
            verdict: None,
            result: None,
        }
    }

    pub(crate) fn job(claim: Option<ClaimRecord>, attempts: Vec<AttemptRecord>) -> JobRecord {
        JobRecord { job_id: "j-1".to_owned(), claim, progress: None, attempts }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::examples::{attempt, claim, job};
    use super::*;

    #[test]
    fn the_claim_tells_how_far_a_job_is_and_without_one_its_history_does() {
        let failed = || attempt("retry", "no route");
        let condemned = || attempt("dead_letter", "no such user");
        let table = [
            (job(Some(claim(JobState::Running)), vec![condemned()]), ShownState::Running),
            (job(Some(claim(JobState::Waiting)), vec![failed()]), ShownState::Waiting),
            (job(Some(claim(JobState::Done)), vec![condemned()]), ShownState::Done),
            (job(Some(claim(JobState::Failed)), Vec::new()), ShownState::Failed),
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
}
