//! The hook for dead jobs, called for letters for which no worker has called it: their process was killed on the last receive.

use std::sync::Arc;

use drumline::run::DeadJob;
use drumline_dlq::Letter;
use drumline_dlq::origin::claimed_origin;
use drumline_runtime::{DeadJobs, redacted};

/// Calls the hook for each letter without a mark. Returns false if it failed for any of them; the others are marked.
pub(super) async fn call_for(dead_jobs: &DeadJobs, letters: &[Letter]) -> bool {
    let mut has_succeeded = true;
    for letter in letters {
        let job = job_of(letter);
        if !dead_jobs.is_called(&job.key).await {
            // The reason is logged.
            has_succeeded &= dead_jobs.call(job).await.is_ok();
        }
    }
    has_succeeded
}

fn job_of(letter: &Letter) -> DeadJob {
    let message = letter.opened().unwrap_or_else(|| letter.message());
    let cause = letter.why();
    let queue = claimed_origin(letter).unwrap_or_default();
    let mut job =
        DeadJob::new(queue, Arc::new(message.clone()), letter.original_id(), redacted(&cause.reason));
    job.class = cause.class;
    job.job_type = letter.job_type().map(str::to_owned);
    letter.job_id().clone_into(&mut job.job_id);
    let correlation_id = letter.envelope().ok().and_then(|envelope| envelope.correlation_id.as_deref());
    correlation_id.unwrap_or(letter.job_id()).clone_into(&mut job.correlation_id);
    job
}
