//! The calls of a service's hook for dead jobs: before the message moves while a worker lives, and by the watch over the DLQ after a
//! kill. A document in the store marks each job for which the hook has succeeded.

use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Death, FailureClass, RunReport};
use drumline::message::Message;
use drumline::run::{DeadJob, DeadJobAttempt, DeadJobHook};
use drumline_store::{AttemptRecord, JobRecord, Store};
use futures_util::FutureExt as _;
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

use crate::redact::redacted;

/// The kind of the marks. The store keeps the last 200 of them: a hook may be called again later, by its key.
const MARKS: &str = "dead-job";

/// For how long a mark is kept: longer than a DLQ keeps its letters.
const KEEP: Duration = Duration::from_secs(15 * 24 * 60 * 60);

/// The number of consecutive tries of a hook, and the wait before the second try, which doubles.
const TRIES: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The time of one try. The message is renewed meanwhile.
const CALL_TIME: Duration = Duration::from_secs(10);

/// The time for the store's answer. A call without a history is better than none.
const STORE_TIME: Duration = Duration::from_secs(3);

/// Calls a service's hook for dead jobs.
#[derive(Clone)]
pub struct DeadJobs {
    hook: DeadJobHook,
    store: Option<Arc<dyn Store>>,
}

impl DeadJobs {
    /// Calls this hook. The store has the histories and the marks; without, there are none.
    pub fn new(hook: DeadJobHook, store: Option<Arc<dyn Store>>) -> Self {
        Self { hook, store }
    }

    /// Calls the hook for a job, three times at most, and marks the job if it succeeds. Adds the history.
    ///
    /// # Errors
    /// If no try has succeeded; the reason is logged.
    pub async fn call(&self, mut job: DeadJob) -> Result<(), String> {
        job.history = self.history(&job).await;
        let mut wait = FIRST_WAIT;
        let mut problem = String::new();
        for attempt in 1..=TRIES {
            match self.try_once(job.clone()).await {
                Ok(()) => {
                    self.mark(&job.key).await;
                    info!(
                        queue = job.queue,
                        job_id = job.job_id,
                        correlation_id = job.correlation_id,
                        "dead job hook called"
                    );
                    return Ok(());
                }
                Err(error) => problem = redacted(&error).into_owned(),
            }
            warn!(queue = job.queue, job_id = job.job_id, attempt, error = problem, "dead job hook failed");
            if attempt < TRIES {
                sleep(wait).await;
                wait *= 2;
            }
        }
        error!(
            queue = job.queue,
            job_id = job.job_id,
            key = job.key,
            error = problem,
            "dead job hook failed each time: its effect is missing"
        );
        Err(problem)
    }

    async fn try_once(&self, job: DeadJob) -> Result<(), String> {
        // The call itself is inside, since it may panic before it returns its future.
        let call = std::panic::AssertUnwindSafe(async { self.hook.call(job).await }).catch_unwind();
        match timeout(CALL_TIME, call).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("it panicked".to_owned()),
            Err(_) => Err(format!("it has not ended within {} s", CALL_TIME.as_secs())),
        }
    }

    /// Returns true if the hook has succeeded for this key, as far as the store knows.
    pub async fn is_called(&self, key: &str) -> bool {
        let Some(store) = &self.store else { return false };
        match timeout(STORE_TIME, store.document(MARKS, key)).await {
            Ok(Ok(mark)) => mark.is_some(),
            Ok(Err(error)) => {
                debug!(%error, "marks of dead jobs unknown");
                false
            }
            Err(_) => false,
        }
    }

    async fn mark(&self, key: &str) {
        let Some(store) = &self.store else { return };
        let put = store.put_document(MARKS, key, None, "called", KEEP);
        // Without it, the watch over the DLQ may call the hook once more, by the same key.
        if let Ok(Err(error)) = timeout(STORE_TIME, put).await {
            debug!(%error, "dead job not marked");
        }
    }

    async fn history(&self, job: &DeadJob) -> Vec<DeadJobAttempt> {
        let Some(store) = &self.store else { return Vec::new() };
        let jobs = timeout(STORE_TIME, store.jobs(&job.job_id)).await;
        let Ok(Ok(jobs)) = jobs else { return Vec::new() };
        let of_message = |record: &&JobRecord| record.had_message(&job.message.id);
        let record = jobs.iter().find(of_message).or(jobs.first());
        let attempts = record.into_iter().flat_map(|record| record.attempts.clone());
        attempts
            .map(|attempt| {
                let AttemptRecord { attempt, at_ms, worker, class, reason, log, .. } = attempt;
                let mut failed = DeadJobAttempt::new(attempt, at_ms, worker, class, reason);
                failed.log = log;
                failed
            })
            .collect()
    }
}

/// Describes the job of a run that ended so.
pub(crate) fn dead_job(queue: &str, message: Arc<Message>, report: &RunReport, death: &Death) -> DeadJob {
    let id = Arc::clone(&message.id);
    let mut job = DeadJob::new(queue, message, &id, redacted(&death.reason));
    job.class = death.class.map(|class: FailureClass| class.label().to_owned());
    job.job_type = report.job_type.as_deref().map(str::to_owned);
    if let Some(identity) = &report.identity {
        job.job_id = identity.job_id().to_string();
    }
    job.correlation_id = report.correlation_id.as_deref().unwrap_or(&job.job_id).to_owned();
    job
}
