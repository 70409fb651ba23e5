//! The hook for dead jobs, called for letters for which no worker has called it: their process was killed on the last receive, or the hook
//! failed in the worker.

use std::collections::HashSet;
use std::sync::Arc;

use drumline::run::DeadJob;
use drumline_dlq::Letter;
use drumline_dlq::letter_id::LetterId;
use drumline_dlq::origin::claimed_origin;
use drumline_runtime::{DeadJobs, redacted};

use crate::metrics::Metrics;

/// The failed calls in a row after which a look calls the hook for no further letter.
const MAX_FAILED: usize = 3;

/// The letters of a look for which the hook has not succeeded.
#[derive(Default)]
pub(super) struct Uncalled {
    pub(super) letters: usize,
    /// The last failure.
    pub(super) problem: String,
}

/// Calls the hook for each letter without a mark. Letters that failed, or came after too many failures, have no mark afterwards. Adds the
/// others to `called`, because the store keeps fewer marks than a look has letters.
pub(super) async fn call_for(
    dead_jobs: &DeadJobs,
    letters: &[Letter],
    dlq: &str,
    metrics: Option<&Metrics>,
    called: &mut HashSet<LetterId>,
) -> Uncalled {
    let mut uncalled = Uncalled::default();
    let mut failed_in_a_row = 0;
    for letter in letters {
        let id = LetterId::of(letter.original_id());
        if called.contains(&id) {
            continue;
        }
        let job = job_of(letter, dlq);
        if dead_jobs.is_called(&job.key).await {
            continue;
        }
        if failed_in_a_row == MAX_FAILED {
            uncalled.letters += 1;
            continue;
        }
        let queue = job.queue.clone();
        let result = dead_jobs.call(job).await;
        if let Some(metrics) = metrics {
            metrics.dead_job_hook(&queue, result.is_ok());
        }
        match result {
            Ok(()) => {
                failed_in_a_row = 0;
                called.insert(id);
            }
            Err(problem) => {
                failed_in_a_row += 1;
                uncalled.letters += 1;
                uncalled.problem = problem;
            }
        }
    }
    uncalled
}

/// Describes the job of a letter as a worker of its queue does. A letter without an origin was sent to the DLQ itself.
fn job_of(letter: &Letter, dlq: &str) -> DeadJob {
    let message = letter.opened().unwrap_or_else(|| letter.message());
    let cause = letter.why();
    let origin = claimed_origin(letter).unwrap_or(dlq);
    let queue = origin.rsplit(':').next().unwrap_or(origin);
    let mut job =
        DeadJob::new(queue, Arc::new(message.clone()), letter.original_id(), redacted(&cause.reason));
    job.class = cause.class;
    job.job_type = letter.job_type().map(str::to_owned);
    letter.job_id().clone_into(&mut job.job_id);
    let correlation_id = letter.envelope().ok().and_then(|envelope| envelope.correlation_id.as_deref());
    correlation_id.unwrap_or(letter.job_id()).clone_into(&mut job.correlation_id);
    job
}
