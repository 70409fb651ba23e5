//! The host as a run uses it: threads, observers, claims, a clock.

use std::any::Any;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use crate::api::attempt_info::AttemptInfo;
use crate::api::observer::{NoopObserver, Observer};
use crate::core::claim::{ClaimRequest, ClaimResult, Claimed};
use crate::core::ids::DeliveryId;
use crate::core::limits::{JobClass, LimitWait, Permit};
use crate::core::maybe_ready::MaybeReady;
use crate::core::next_job::{NextJob, NextJobs};
use crate::message::sqs_message::Message;

/// The reason for which a payload could not be opened, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenError {
    /// No attempt can succeed: the object does not exist, or the payload is not what its message says.
    Permanent(String),
    /// A later attempt may succeed: S3 does not answer, or the worker's setup does not fit yet.
    Retry(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Permanent(reason) | Self::Retry(reason)) = self;
        f.write_str(reason)
    }
}

impl std::error::Error for OpenError {}

/// The reason for which the jobs that follow on an attempt could not be sent, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextError {
    /// No attempt can succeed: a job is too large, has a secret, or lacks the group that its queue needs.
    Permanent(String),
    /// A later attempt may succeed: SQS does not answer. Some of the jobs may have been sent.
    Retry(String),
}

impl fmt::Display for NextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Permanent(reason) | Self::Retry(reason)) = self;
        f.write_str(reason)
    }
}

impl std::error::Error for NextError {}

/// The services that a host provides to the handlers it runs.
///
/// All but the blocking work may be left out: then no events are observed, and jobs run without a claim.
pub trait RunEnvironment: Send + Sync + 'static {
    /// Runs work that would hold up the async threads, on a thread made for that.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>);

    /// Returns the observer of the run's events: its start, its progress, its end.
    fn observer(&self) -> &dyn Observer {
        &NoopObserver
    }

    /// Opens a message whose body is not its payload yet: one that is in S3, or compressed. `None` leaves it as it is, which is all
    /// that the usual message costs. A run whose lease or time ends meanwhile does not wait for the answer.
    fn open(&self, _message: &Arc<Message>) -> MaybeReady<'_, Result<Option<Message>, OpenError>> {
        MaybeReady::now(Ok(None))
    }

    /// Reports that a message was opened to [`Ledger::opened`](crate::core::Ledger::opened), and returns the time of the report: the attempt's
    /// time starts then. `None` leaves it as it is.
    fn opened(&self, _delivery: DeliveryId) -> MaybeReady<'_, Option<Instant>> {
        MaybeReady::now(None)
    }

    /// Reports the type of a run that has just begun to [`Ledger::set_job_type`](crate::core::Ledger::set_job_type), and returns
    /// the timeout of its attempts. `None` for a type without a timeout of its own, of which the ledger need not know.
    fn started(&self, _delivery: DeliveryId, _job_type: &Arc<str>) -> MaybeReady<'_, Option<Duration>> {
        MaybeReady::now(None)
    }

    /// Asks for the permission to run a job: [`Limits::admit`](crate::core::Limits::admit). `permit` is the one that it has waited for.
    /// By default nothing is limited.
    ///
    /// # Errors
    /// If the job has to wait for its limits.
    fn admit(
        &self,
        job_type: &Arc<str>,
        message: &Message,
        payload: &RawValue,
        permit: Option<Permit>,
    ) -> Result<Option<Permit>, (JobClass, LimitWait)> {
        let _ = (job_type, message, payload);
        Ok(permit)
    }

    /// Asks the store for the claim of a job, once; the error is the store's, which does not answer. It must end in a bounded
    /// time: the ledger decides whether the run asks again.
    fn claim<'a>(&'a self, _request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, String>> {
        MaybeReady::now(Ok(ClaimResult::Unclaimed))
    }

    /// Passes an answer of the store to [`Ledger::claimed`](crate::core::Ledger::claimed), before the run's end.
    fn claimed(&self, _delivery: DeliveryId, _answer: Claimed) -> MaybeReady<'_, ()> {
        MaybeReady::now(())
    }

    /// Sends the jobs that follow on an attempt whose handler has succeeded. Returns those that are not sent yet, since the store adds
    /// them with the [mark](crate::core::Effect::Mark) that the job is done; they have passed all checks. Not called without any job.
    ///
    /// By default the host sends none, and the attempt fails permanently.
    fn send_next<'a>(
        &'a self,
        attempt: &'a AttemptInfo,
        jobs: Vec<NextJob>,
    ) -> MaybeReady<'a, Result<Option<NextJobs>, NextError>> {
        let _ = (attempt, jobs);
        MaybeReady::now(Err(NextError::Permanent("this host sends no jobs".to_owned())))
    }

    /// Waits for `time`, and returns true; returns false at once if that would end after `deadline`. Without a clock, which is the
    /// default, no step is [retried](crate::Context::retry).
    fn sleep(&self, _time: Duration, _deadline: Instant) -> MaybeReady<'_, bool> {
        MaybeReady::now(false)
    }

    /// Waits for more items of a [batch](crate::batch): for `time`, or not at all if that would end after `deadline`.
    fn linger(&self, time: Duration, deadline: Instant) -> MaybeReady<'_, bool> {
        self.sleep(time, deadline)
    }

    /// Returns how many runs may still begin beside those that have begun, as far as the host knows: a [batch](crate::batch) waits for
    /// no others. The default does not know.
    fn free_slots(&self) -> usize {
        usize::MAX
    }

    /// The receives after which the queue moves a message to its DLQ, if that is known.
    fn max_receives(&self) -> Option<NonZeroU32> {
        None
    }

    /// Keeps a value for the next attempt, soon.
    #[allow(clippy::boxed_local, reason = "those that keep it want it whole")]
    fn checkpoint(&self, _attempt: &AttemptInfo, _value: Box<RawValue>) {}

    /// Returns the host's other services for handlers, by their types, for example its store.
    fn extension(&self) -> Option<&(dyn Any + Send + Sync)> {
        None
    }
}
