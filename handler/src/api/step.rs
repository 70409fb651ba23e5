//! A step that is retried inside one attempt, so that a short failure costs the message no receive.

use std::fmt::Write;
use std::num::NonZeroU32;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::api::context::Context;
use crate::api::failure::{Failure, FailureKind};
use crate::core::retry::{Jitter, RetryPolicy};

/// The maximum number of retries of one step: a policy such as `exponential(0s,1,0s)` would never end.
pub const MAX_STEP_RETRIES: u32 = 100;

impl Context {
    /// Runs a step of the job, and runs it again after each failure that means *retry*, with the waits of `policy`: once after
    /// each step of a schedule, or without such an end for an exponential policy. It costs the message no receive.
    ///
    /// Returns the last failure when the schedule is over, the next wait would outlast the attempt's
    /// [`deadline`](crate::run::AttemptInfo::deadline), the run is cancelled, or after [`MAX_STEP_RETRIES`]. A rejection is
    /// returned at once, and so is a failure that closes the job's type ([`Failure::throttled`]). A failure's own delay
    /// ([`Failure::retry_after`]) replaces the policy's if it is longer. The step should be safe to repeat; a cancellation does
    /// not interrupt it, only the waits. Jobs that a failed try has declared ([`then`](Self::then)) do not follow, so no other
    /// code of the handler may declare any while the step runs.
    ///
    /// ```
    /// # use drumline::{Context, Failure, Job, RetryPolicy};
    /// # #[derive(serde::Deserialize)] struct Report { url: String }
    /// # impl Job for Report { const TYPE: &'static str = "report"; }
    /// # async fn upload(url: &str) -> Result<(), std::io::Error> { Ok(()) }
    /// async fn report(ctx: Context, job: Report) -> Result<(), Failure> {
    ///     let policy: RetryPolicy = "schedule(200ms,1s,5s)".parse()?;
    ///     ctx.retry(&policy, || async { Ok(upload(&job.url).await?) }).await?;
    ///     Ok(())
    /// }
    /// # let _ = drumline::Router::new().handle(report);
    /// ```
    pub async fn retry<T, F>(&self, policy: &RetryPolicy, mut step: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let most = policy.steps().and_then(|steps| u32::try_from(steps).ok()).unwrap_or(MAX_STEP_RETRIES);
        for tries in 1.. {
            let declared = self.declared().next.len();
            let failure = match step().await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            // The next try declares them again.
            self.declared().next.truncate(declared);
            let Some(wait) = self.wait_before(policy, tries, &failure).filter(|_| tries <= most) else {
                return Err(failure);
            };
            if !self.waits(wait).await {
                return Err(failure);
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// Returns the wait before a step runs again; `None` if it must not.
    fn wait_before(&self, policy: &RetryPolicy, tries: u32, failure: &Failure) -> Option<Duration> {
        let own = match failure.kind() {
            FailureKind::Retry | FailureKind::OutOfResources | FailureKind::TargetUnhealthy => Duration::ZERO,
            FailureKind::RetryAfter(delay) => delay,
            // Other jobs of the type would continue to call the service during the wait.
            FailureKind::Reject | FailureKind::InvalidPayload | FailureKind::Throttled(_) => return None,
        };
        Some(policy.delay(NonZeroU32::new(tries)?, self.jitter(tries)).max(own))
    }

    /// Waits. Returns false if the run must stop earlier.
    async fn waits(&self, time: Duration) -> bool {
        if self.is_cancelled() {
            return false;
        }
        let sleep = self.0.host.sleep(time, self.deadline());
        match select(sleep, pin!(self.cancelled())).await {
            Either::Left((slept, _)) => slept,
            Either::Right(_) => false,
        }
    }

    /// A number that differs from message to message, from attempt to attempt, and from try to try.
    fn jitter(&self, tries: u32) -> Jitter {
        let mut seed = String::with_capacity(64);
        let _ = write!(seed, "{}/{}/{tries}", self.message().id, self.attempt());
        Jitter::new((xxh3_64_with_seed(seed.as_bytes(), 0) >> 32) as u32)
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
