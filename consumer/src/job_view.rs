//! The view of a job: that of [`drumline_store::job_view`], re-exported for commands.

pub use drumline_store::job_view::{JobFilter, JobView, OtherJob, ShownState, job_type, queue};

#[cfg(test)]
pub(crate) mod examples;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use drumline_store::{AttemptRecord, ClaimRecord, DuplicateOf, JobState};

    use super::examples::{attempt, claim, job};
    use super::*;

    #[test]
    fn the_claim_shows_a_jobs_state_and_otherwise_its_history() {
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
    fn the_newest_match_is_shown_and_the_others_are_listed() {
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
    fn a_duplicate_is_found_in_any_queue() {
        let mut record = job(Some(claim(JobState::Done)), Vec::new());
        record.duplicate_of = Some(original_run());
        let filter = JobFilter { queue: Some("low".to_owned()), ..JobFilter::default() };
        assert!(JobView::newest(vec![record], &filter).is_some());
    }
}
