//! After the handler: the jobs that follow on its success leave before the job is marked as done.

use std::panic::AssertUnwindSafe;
use std::pin::pin;

use futures_util::FutureExt;
use futures_util::future::{Either, select};

use crate::api::context::Context;
use crate::api::run_environment::NextError;
use crate::core::control::RunControl;
use crate::core::ending::Ending;
use crate::core::next_job::{NextJob, NextJobs};
use crate::core::reason::{bounded, panic_message};

/// Has the host send the jobs that follow. Returns those that the store adds with the mark, or the ending in place of a
/// success.
///
/// A run that was asked to stop has still succeeded, and its next jobs are sent as long as it has time. If its lease is lost,
/// another run may also send them, with the same ids.
pub(crate) async fn send_next(
    context: &Context,
    control: &RunControl,
    jobs: Vec<NextJob>,
) -> Result<Option<NextJobs>, Ending> {
    let host = &context.0.host;
    // The call itself is inside, because it may panic before it returns its future.
    let sending = AssertUnwindSafe(async { host.send_next(&context.0.info, jobs).await }).catch_unwind();
    let retry = |reason: String| Ending::RetryAsked { after: None, reason: bounded(reason) };
    match select(pin!(sending), pin!(control.until_aborted())).await {
        Either::Left((Ok(Ok(with_mark)), _)) => Ok(with_mark),
        Either::Left((Ok(Err(NextError::Permanent(reason))), _)) => Err(Ending::Rejected {
            reason: bounded(format!("the job is done, but a next one is refused: {reason}")),
        }),
        Either::Left((Ok(Err(NextError::Retry(reason))), _)) => {
            Err(retry(format!("the job is done, but the next ones were not sent: {reason}")))
        }
        Either::Left((Err(panic), _)) => {
            Err(Ending::Panicked { reason: bounded(panic_message(panic.as_ref())) })
        }
        Either::Right(((), _)) => {
            Err(retry("the job is done, but its time ended before the next ones were sent".to_owned()))
        }
    }
}

#[cfg(test)]
#[path = "next_jobs_tests.rs"]
mod tests;
