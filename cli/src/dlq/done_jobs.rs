//! Jobs of letters that are done already: a worker would not run them, or would refuse what was changed.

use drumline_consumer::ExitError;
use drumline_consumer::job_view::JobFilter;
use drumline_runtime::aws::queue_name;
use drumline_store::{Forgotten, JobRecord, JobState, StoreError};

use crate::job_lookup::{Histories, LookupError};

/// The job of a letter as it is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentJob<'a> {
    pub(super) id: &'a str,
    pub(super) job_type: &'a str,
    /// The URL of the queue that it is sent to.
    pub(super) queue_url: &'a str,
}

impl SentJob<'_> {
    /// Returns the key of the record, if it is of this job and the job is done.
    fn done_in(self, record: &JobRecord) -> Option<String> {
        let claim = record.claim.as_ref().filter(|claim| claim.state == JobState::Done)?;
        // A scope is the queue's ARN unless a setting names another one.
        let queue = record.scope.as_deref().filter(|scope| scope.starts_with("arn:"));
        let queue = queue.and_then(|arn| arn.rsplit(':').next());
        let is_same_queue = queue.is_none_or(|queue| queue == queue_name(self.queue_url));
        // The job that it duplicates keeps it from running, too.
        (is_same_queue && claim.job_type == self.job_type).then(|| claim.key.clone())
    }
}

/// Returns the keys of the done records of a job.
pub(super) async fn done_keys(histories: &Histories, job: SentJob<'_>) -> Result<Vec<String>, LookupError> {
    match histories {
        Histories::Store(store) => {
            let records = store.jobs(job.id).await.map_err(|error| unavailable(&error))?;
            Ok(records.iter().filter_map(|record| job.done_in(record)).collect())
        }
        Histories::Worker { .. } => {
            let filter = JobFilter { job_type: Some(job.job_type.to_owned()), ..JobFilter::default() };
            let found = histories.job(job.id, &filter).await?;
            Ok(found.iter().filter_map(|view| job.done_in(&view.job)).collect())
        }
    }
}

/// Returns true if a job of this id was done at this time or later, in milliseconds since the Unix epoch. False if it is not known.
pub(super) async fn is_done_since(histories: &Histories, id: &str, at_ms: u64) -> bool {
    let is_done = |record: &JobRecord| {
        let claim = record.claim.as_ref().filter(|claim| claim.state == JobState::Done);
        claim.and_then(|claim| claim.finished_at_ms).is_some_and(|finished| finished >= at_ms)
    };
    match histories {
        Histories::Store(store) => store.jobs(id).await.is_ok_and(|records| records.iter().any(is_done)),
        Histories::Worker { .. } => {
            let found = histories.job(id, &JobFilter::default()).await;
            found.is_ok_and(|view| view.is_some_and(|view| is_done(&view.job)))
        }
    }
}

/// Checks that jobs can be forgotten.
///
/// # Errors
/// If their records are not in a store that this process reaches.
pub(super) fn check_again(histories: Option<&Histories>) -> Result<(), ExitError> {
    match histories {
        Some(Histories::Store(_)) => Ok(()),
        Some(Histories::Worker { .. }) | None => Err(ExitError::usage(
            "--again forgets that jobs are done, and needs the store that their workers share (DRUMLINE_STORE_URL): with \
             memory: only the worker itself knows, until it is restarted",
        )),
    }
}

/// Has jobs that are done run again. Returns false for one that runs at this moment.
pub(super) async fn forget(histories: &Histories, keys: &[String]) -> Result<bool, ExitError> {
    let Histories::Store(store) = histories else { return check_again(Some(histories)).map(|()| false) };
    let mut may_run = true;
    for key in keys {
        let forgotten = store.forget(key).await.map_err(|error| match error {
            StoreError::Refused(_) => ExitError::usage(format!("--again: the store refuses: {error}")),
            StoreError::Unanswered(_) => ExitError::unavailable(format!("--again: {error}")),
        })?;
        may_run &= forgotten != Forgotten::Running;
    }
    Ok(may_run)
}

fn unavailable(error: &StoreError) -> LookupError {
    LookupError::Unavailable(format!("the store does not answer: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use drumline::core::{ClaimRequest, ClaimResult};
    use drumline::message::Identity;
    use drumline_store::{MemoryStore, Retention, Store};

    use super::*;

    const JOBS: &str = "arn:aws:sqs:eu-west-1:123456789012:jobs";

    fn request(scope: &str, job_type: &str) -> ClaimRequest {
        ClaimRequest {
            identity: Arc::new(Identity::new(scope, job_type, None, "j-1")),
            payload_hash: 1,
            lock: None,
            length: std::time::Duration::from_secs(60),
            queue: "jobs".into(),
            message_id: "m-1".into(),
            receive_count: 1,
            legacy_key: None,
        }
    }

    #[tokio::test]
    async fn a_done_job_is_found_by_its_id_type_and_queue_and_runs_again_once_it_is_forgotten() {
        let store = Arc::new(MemoryStore::new("worker".into(), Retention::default()));
        for (scope, job_type) in [(JOBS, "email.send"), ("shared", "email.send"), (JOBS, "other")] {
            match store.claim(&request(scope, job_type)).await.unwrap() {
                ClaimResult::Granted(grant) => store.finish(&grant.claim, None).await.unwrap(),
                other => panic!("{other:?}"),
            };
        }
        let histories = Histories::Store(Arc::clone(&store) as Arc<dyn Store>);
        let find = async |job_type, queue: &str| {
            let queue_url = format!("https://sqs.eu-west-1.amazonaws.com/123456789012/{queue}");
            let job = SentJob { id: "j-1", job_type, queue_url: &queue_url };
            done_keys(&histories, job).await.unwrap()
        };
        assert_eq!(find("email.send", "jobs").await.len(), 2);
        assert_eq!(find("email.send", "elsewhere").await.len(), 1, "of the shared scope");
        assert_eq!(find("image.process", "jobs").await, Vec::<String>::new());
        let keys = find("email.send", "jobs").await;
        assert!(forget(&histories, &keys).await.unwrap());
        assert!(find("email.send", "jobs").await.is_empty());
        let again = store.claim(&request(JOBS, "email.send")).await.unwrap();
        assert!(matches!(again, ClaimResult::Granted(_)), "{again:?}");
        assert!(!forget(&histories, &keys).await.unwrap(), "it runs now");
    }
}
