//! The host's services for a run: threads, observers, claims, a clock.

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

/// The reason for which a payload could not be opened, as a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenError {
    /// No attempt can succeed: the object does not exist, or the payload differs from its message's description.
    Permanent(String),
    /// A later attempt may succeed: S3 does not answer, or the worker's setup is not yet right.
    Retry(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Permanent(reason) | Self::Retry(reason)) = self;
        f.write_str(reason)
    }
}

impl std::error::Error for OpenError {}

/// The reason for which the next jobs could not be sent, as a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextError {
    /// No attempt can succeed: a job is too large, contains a secret, or lacks the group that its queue needs.
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
/// All services except the blocking work are optional: without them no events are observed, and jobs run without a claim.
pub trait RunEnvironment: Send + Sync + 'static {
    /// Runs work that would block the async threads, on a thread for such work.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>);

    /// Returns the observer of the run's events: its start, its progress, its end.
    fn observer(&self) -> &dyn Observer {
        &NoopObserver
    }

    /// Opens a message whose body is not its payload: one that is stored in S3, or compressed. `None` leaves the message
    /// unchanged, which is the only cost of the usual message. A run whose lease or time ends before does not wait for the
    /// answer.
    fn open(&self, _message: &Arc<Message>) -> MaybeReady<'_, Result<Option<Message>, OpenError>> {
        MaybeReady::now(Ok(None))
    }

    /// Reports that a message was opened to [`Ledger::opened`](crate::core::Ledger::opened), and returns the time of the
    /// report, at which the attempt's time starts. `None` leaves the time unchanged.
    fn opened(&self, _delivery: DeliveryId) -> MaybeReady<'_, Option<Instant>> {
        MaybeReady::now(None)
    }

    /// Reports the type of a run that has just started to [`Ledger::set_job_type`](crate::core::Ledger::set_job_type), and
    /// returns the timeout of its attempts. `None` for a type without a separate timeout, which the ledger need not know.
    fn started(&self, _delivery: DeliveryId, _job_type: &Arc<str>) -> MaybeReady<'_, Option<Duration>> {
        MaybeReady::now(None)
    }

    /// Requests the permit to run a job: [`Limits::admit`](crate::core::Limits::admit). `permit` is the one for which it has
    /// waited. By default nothing is limited.
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

    /// Requests the claim of a job from the store, once. With an error the store is not available. It must end in a bounded
    /// time: the ledger decides whether the run repeats the request.
    fn claim<'a>(&'a self, _request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, String>> {
        MaybeReady::now(Ok(ClaimResult::Unclaimed))
    }

    /// Passes an answer of the store to [`Ledger::claimed`](crate::core::Ledger::claimed), before the run's end.
    fn claimed(&self, _delivery: DeliveryId, _answer: Claimed) -> MaybeReady<'_, ()> {
        MaybeReady::now(())
    }

    /// Sends the jobs that follow on an attempt whose handler has succeeded. Returns those that are not yet sent, because the
    /// store adds them with the [mark](crate::core::Effect::Mark) that the job is done; they have passed all checks. Not called
    /// without any next jobs.
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

    /// Waits for more items of a [batch](crate::batch) for `time`, but not if that would end after `deadline`.
    fn linger(&self, time: Duration, deadline: Instant) -> MaybeReady<'_, bool> {
        self.sleep(time, deadline)
    }

    /// Returns the number of runs that may still start beside the current ones, as far as the host knows: a
    /// [batch](crate::batch) waits for no others. By default it is unknown.
    fn free_slots(&self) -> usize {
        usize::MAX
    }

    /// Returns the receives after which the queue moves a message to its DLQ, if their number is known.
    fn max_receives(&self) -> Option<NonZeroU32> {
        None
    }

    /// Stores a value for the next attempt, soon.
    #[allow(clippy::boxed_local, reason = "those that keep it want it whole")]
    fn checkpoint(&self, _attempt: &AttemptInfo, _value: Box<RawValue>) {}

    /// Returns the host's other services for handlers, by their types, for example its store.
    fn extension(&self) -> Option<&(dyn Any + Send + Sync)> {
        None
    }
}
