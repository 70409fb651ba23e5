//! The next jobs after a job's success: sent before its mark, or added by the store with it.

use std::sync::Arc;

use drumline::core::{MaybeReady, NextJob, NextJobs};
use drumline::run::{AttemptInfo, NextError};
use drumline_store::outbox::{Due, OutboxJob};
use tracing::debug;
use url::Url;

/// Sends the next jobs of other jobs: `NextJobProducer` of `drumline-producer`.
pub trait NextJobSender: Send + Sync + 'static {
    /// Sends the jobs, each to its queue. If they are sent again, they have the same ids.
    fn send<'a>(
        &'a self,
        origin: NextOrigin<'a>,
        jobs: Vec<NextJob>,
    ) -> MaybeReady<'a, Result<(), NextError>>;

    /// Returns the jobs with their queues and groups, for an outbox; refuses the jobs that the relay of the outbox would
    /// refuse.
    fn check<'a>(
        &'a self,
        origin: NextOrigin<'a>,
        jobs: Vec<NextJob>,
    ) -> MaybeReady<'a, Result<Vec<NextJob>, NextError>>;
}

/// The message of the job before the next jobs.
#[derive(Debug, Clone, Copy)]
pub struct NextOrigin<'a> {
    /// The URL of its queue, which is also the queue of next jobs without another one.
    pub queue_url: &'a Url,
    /// Its message group.
    pub group: Option<&'a str>,
}

/// The route of the next jobs of a queue's jobs.
#[derive(Clone)]
pub struct NextJobRoute {
    /// Sends them.
    pub sender: Arc<dyn NextJobSender>,
    /// The URL of the queue.
    pub queue_url: Url,
    /// True if the store adds them to its outbox, with the mark that a job is done, and a relay sends them.
    pub with_mark: bool,
}

impl NextJobRoute {
    /// Sends the next jobs of this attempt. Returns those that the store must add with the mark.
    pub(crate) fn send<'a>(
        &'a self,
        attempt: &'a AttemptInfo,
        jobs: Vec<NextJob>,
    ) -> MaybeReady<'a, Result<Option<NextJobs>, NextError>> {
        MaybeReady::later(async move {
            let origin = NextOrigin { queue_url: &self.queue_url, group: attempt.message().group.as_deref() };
            let count = jobs.len();
            if self.with_mark {
                let jobs = self.sender.check(origin, jobs).await?;
                if attempt.claim().is_some() {
                    return Ok(Some(NextJobs(jobs.into())));
                }
                // The store does not answer, so nothing marks this job. A delay that only its outbox can keep is refused here, and is
                // none of the job's faults.
                self.sender.send(origin, jobs).await.map_err(tried_again)?;
            } else {
                self.sender.send(origin, jobs).await?;
            }
            debug!(parent: attempt.span(), count, "next jobs sent");
            Ok(None)
        })
    }
}

/// Returns an error after which a refused job may be accepted later.
fn tried_again(error: NextError) -> NextError {
    let (NextError::Retry(reason) | NextError::Permanent(reason)) = error;
    NextError::Retry(reason)
}

/// Returns the rows of jobs in an outbox.
pub(crate) fn rows(jobs: &NextJobs) -> Vec<OutboxJob> {
    jobs.0.iter().map(outbox_job).collect()
}

/// Returns a next job as a job of an outbox.
pub fn outbox_job(job: &NextJob) -> OutboxJob {
    let mut row = OutboxJob::new(&*job.id, &*job.job_type, &*job.payload);
    row.schema_version = job.schema_version;
    row.queue.clone_from(&job.queue);
    row.group.clone_from(&job.group);
    row.idempotency_key.clone_from(&job.idempotency_key);
    row.correlation_id = Some(job.correlation_id.clone()).filter(|id| !id.is_empty());
    row.traceparent.clone_from(&job.traceparent);
    row.due = if job.delay.is_zero() { Due::Now } else { Due::After(job.delay) };
    row
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_row_has_all_parts_of_its_job() {
        let mut job = NextJob::new("next-1", "a.b", r#"{"n":1}"#);
        let plain = outbox_job(&job);
        assert_eq!(plain, OutboxJob::new("next-1", "a.b", r#"{"n":1}"#));
        job.schema_version = 3;
        job.queue = Some("mail".to_owned());
        job.group = Some("g".to_owned());
        job.delay = Duration::from_secs(90);
        job.idempotency_key = Some("k".to_owned());
        job.correlation_id = "c".to_owned();
        job.traceparent = Some("00-t".to_owned());
        let row = outbox_job(&job);
        assert_eq!((row.schema_version, row.due), (3, Due::After(Duration::from_secs(90))));
        let texts = [row.queue, row.group, row.idempotency_key, row.correlation_id, row.traceparent];
        assert_eq!(texts.map(Option::unwrap_or_default), ["mail", "g", "k", "c", "00-t"]);
    }
}
