//! Letters whose jobs are already done: a worker would not run them, or would refuse the changed ones.

use drumline_consumer::ExitError;
use drumline_consumer::job_view::{JobFilter, ShownState};
use drumline_runtime::aws::queue_name;
use drumline_store::{Forgotten, JobRecord, JobState, StoreError};
use url::Url;

use crate::job_lookup::{Histories, LookupError};

/// The prefix of keys of jobs with a global key, see [`KeyScope::Global`](drumline::message::KeyScope::Global).
const GLOBAL: &str = "*,";

/// The job of a letter.
#[derive(Debug, Clone, Copy)]
pub(super) struct LetterJob<'a> {
    pub(super) id: &'a str,
    pub(super) job_type: &'a str,
    /// The source of its event, if it has one.
    pub(super) source: Option<&'a str>,
    /// The scope in the settings.
    pub(super) scope: Option<&'a str>,
    /// The URL of the queue to which it is sent.
    pub(super) queue_url: &'a str,
    /// The id of the message that died.
    pub(super) message: &'a str,
}

/// A done job that may be the job of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DoneJob {
    pub(super) key: String,
    /// True if it is the letter's job. If false, it may be another job with the same id and type, because its scope or source
    /// is not known.
    pub(super) is_certain: bool,
    /// True if it was done in the message that died.
    pub(super) is_own_message: bool,
    /// In milliseconds since the Unix epoch.
    pub(super) finished_at_ms: Option<u64>,
}

impl LetterJob<'_> {
    /// Returns the job of the record if it is done and may be this one.
    fn done_in(self, record: &JobRecord) -> Option<DoneJob> {
        let claim = record.claim.as_ref().filter(|claim| claim.state == JobState::Done)?;
        if claim.job_type != self.job_type {
            return None;
        }
        let is_global = claim.key.starts_with(GLOBAL);
        let scope = match (record.scope.as_deref(), self.scope) {
            (Some(own), Some(scope)) => (own == scope).then_some(true),
            (Some(own), None) if own.starts_with("arn:") => is_arn_of(own, self.queue_url).then_some(true),
            // Old records have no scope, and the worker's settings may name a scope that these settings do not.
            (Some(_) | None, _) => Some(claim.queue == queue_name(self.queue_url)),
        };
        let is_certain_scope = scope.or_else(|| is_global.then_some(false))?;
        let is_same_source = record.source.as_deref() == self.source;
        // Records of jobs with a global key, and old records, have no source.
        let may_be_same_source = record.source.is_none() && (is_global || record.scope.is_none());
        if !is_same_source && !may_be_same_source {
            return None;
        }
        Some(DoneJob {
            key: claim.key.clone(),
            is_certain: is_certain_scope && is_same_source || record.had_message(self.message),
            is_own_message: claim.message_id == self.message,
            finished_at_ms: claim.finished_at_ms,
        })
    }
}

/// Returns true if a queue with this URL may have this ARN. Only AWS's URLs contain the region.
fn is_arn_of(arn: &str, queue_url: &str) -> bool {
    let mut parts = arn.rsplit(':');
    let (Some(name), Some(account), Some(region)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let Ok(url) = Url::parse(queue_url) else { return false };
    let mut path = url.path().trim_end_matches('/').rsplit('/');
    if path.next() != Some(name) {
        return false;
    }
    let is_account = |text: &&str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if path.next().filter(is_account).is_some_and(|own| own != account) {
        return false;
    }
    let host = url.host_str().unwrap_or_default();
    let is_of_aws = host.contains(".amazonaws.com") && host.contains(|c: char| c.is_ascii_digit());
    !is_of_aws || host.split('.').any(|part| part == region)
}

/// Returns the done jobs that may be the job of a letter.
pub(super) async fn done_jobs(
    histories: &Histories,
    job: LetterJob<'_>,
) -> Result<Vec<DoneJob>, LookupError> {
    match histories {
        Histories::Store(store) => {
            let records = store.jobs(job.id).await.map_err(|error| unavailable(&error))?;
            Ok(records.iter().filter_map(|record| job.done_in(record)).collect())
        }
        Histories::Worker { .. } => {
            let filter = JobFilter { job_type: Some(job.job_type.to_owned()), ..JobFilter::default() };
            let Some(newest) = histories.job(job.id, &filter).await? else { return Ok(Vec::new()) };
            let mut found = Vec::from_iter(job.done_in(&newest.job));
            // A worker names only the state and a message of the other jobs.
            let others = newest.others.iter().filter(|other| other.state == ShownState::Done);
            for message in others.filter_map(|other| other.message_id.clone()) {
                let filter = JobFilter { message: Some(message), ..filter.clone() };
                let other = histories.job(job.id, &filter).await?;
                found.extend(other.and_then(|other| job.done_in(&other.job)));
            }
            Ok(found)
        }
    }
}

/// Checks that the records of jobs can be deleted.
///
/// # Errors
///
/// Returns an error if this process cannot reach the store with the records.
pub(super) fn check_again(histories: Option<&Histories>) -> Result<(), ExitError> {
    match histories {
        Some(Histories::Store(_)) => Ok(()),
        Some(Histories::Worker { .. }) | None => Err(ExitError::usage(
            "--again forgets that jobs are done, and needs the store that their workers share (DRUMLINE_STORE_URL): with \
             memory: only the worker itself knows, until it is restarted",
        )),
    }
}

/// Deletes the records of done jobs, so that the jobs run again. Returns false for a job that is running.
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
    const JOBS_URL: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs";

    fn request(identity: Identity, message_id: &str) -> ClaimRequest {
        ClaimRequest {
            identity: Arc::new(identity),
            payload_hash: 1,
            lock: None,
            length: std::time::Duration::from_secs(60),
            queue: "jobs".into(),
            message_id: message_id.into(),
            receive_count: 1,
            legacy_key: None,
        }
    }

    fn job(job_type: &str) -> LetterJob<'_> {
        LetterJob { id: "j-1", job_type, source: None, scope: None, queue_url: JOBS_URL, message: "m-0" }
    }

    async fn store_with(done: impl IntoIterator<Item = Identity>) -> (Arc<MemoryStore>, Histories) {
        let store = Arc::new(MemoryStore::new("worker".into(), Retention::default()));
        for identity in done {
            match store.claim(&request(identity, "m-1")).await.unwrap() {
                ClaimResult::Granted(grant) => store.finish(&grant.claim, None).await.unwrap(),
                other => panic!("{other:?}"),
            };
        }
        let histories = Histories::Store(Arc::clone(&store) as Arc<dyn Store>);
        (store, histories)
    }

    #[tokio::test]
    async fn a_done_job_is_found_and_runs_again_once_it_is_forgotten() {
        let identity = |scope, job_type| Identity::new(scope, job_type, None, "j-1");
        let done = [identity(JOBS, "email.send"), identity("shared", "email.send"), identity(JOBS, "other")];
        let (store, histories) = store_with(done).await;
        let find = async |job| done_jobs(&histories, job).await.unwrap();
        assert_eq!(find(job("email.send")).await.len(), 2);
        let elsewhere = "https://sqs.eu-west-1.amazonaws.com/123456789012/elsewhere";
        let elsewhere = find(LetterJob { queue_url: elsewhere, ..job("email.send") }).await;
        assert!(matches!(&elsewhere[..], [DoneJob { is_certain: false, .. }]), "{elsewhere:?}");
        assert_eq!(find(job("image.process")).await, []);
        let keys: Vec<String> = find(job("email.send")).await.into_iter().map(|done| done.key).collect();
        assert!(forget(&histories, &keys).await.unwrap());
        assert!(find(job("email.send")).await.is_empty());
        let again = store.claim(&request(identity(JOBS, "email.send"), "m-2")).await.unwrap();
        assert!(matches!(again, ClaimResult::Granted(_)), "{again:?}");
        assert!(!forget(&histories, &keys).await.unwrap(), "it runs now");
    }

    #[tokio::test]
    async fn a_job_of_another_source_or_scope_is_another_job() {
        let event = |source| Identity::new("mail", "a.b", Some(source), "1").with_job_id("j-1");
        let charge = Identity::global(JOBS, "pay", "charge:7").with_job_id("j-1");
        let (_, histories) = store_with([event("/a"), charge]).await;
        let certain = async |job: LetterJob<'_>| {
            let found = done_jobs(&histories, job).await.unwrap();
            found.first().map(|done| done.is_certain)
        };
        let of_event = |source, scope| LetterJob { source: Some(source), scope, ..job("a.b") };
        assert_eq!(certain(of_event("/a", Some("mail"))).await, Some(true));
        assert_eq!(certain(of_event("/a", None)).await, Some(true), "it came from the queue");
        assert_eq!(certain(of_event("/b", Some("mail"))).await, None);
        assert_eq!(certain(of_event("/a", Some("web"))).await, None);
        assert_eq!(certain(job("a.b")).await, None);
        // A global key has no source, and holds in every scope.
        assert_eq!(certain(job("pay")).await, Some(true));
        assert_eq!(certain(LetterJob { source: Some("/a"), ..job("pay") }).await, Some(false));
        assert_eq!(certain(LetterJob { scope: Some("web"), ..job("pay") }).await, Some(false));
        let own = LetterJob { scope: Some("web"), message: "m-1", ..job("pay") };
        assert_eq!(certain(own).await, Some(true), "the letter's message has had it");
    }

    #[test]
    fn a_queue_has_the_arn_of_its_name_account_and_region() {
        let table = [
            (JOBS_URL, true),
            ("https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/123456789012/jobs/", true),
            ("https://queue.amazonaws.com/123456789012/jobs", true),
            ("http://127.0.0.1:9324/queue/jobs", true),
            ("http://127.0.0.1:4566/123456789012/jobs", true),
            ("https://sqs.eu-west-1.amazonaws.com/123456789012/jobs-2", false),
            ("https://sqs.eu-west-1.amazonaws.com/210987654321/jobs", false),
            ("https://sqs.us-east-1.amazonaws.com/123456789012/jobs", false),
        ];
        for (url, expected) in table {
            assert_eq!(is_arn_of(JOBS, url), expected, "{url}");
        }
    }
}
