//! The runtime of the handlers, and the services that they use.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use std::any::Any;

use drumline::core::{
    ClaimRequest, ClaimResult, Claimed, DeliveryId, JobClass, LimitWait, Limits, MaybeReady, NextJob,
    NextJobs, Permit,
};
use drumline::message::Message;
use drumline::run::{AttemptInfo, NextError, Observer, OpenError, RunEnvironment};
use serde_json::value::RawValue;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::claims::ClaimStoreClient;
use crate::drive::input::Input;
use crate::next_jobs::NextJobRoute;
use crate::payload::Payloads;

/// One runtime on one thread for SQS and the ledgers, and one on threads of its own for handlers: a handler that blocks
/// its thread delays no renewal, and no response.
pub fn runtimes() -> std::io::Result<(Runtime, Runtime)> {
    let io = Builder::new_current_thread().enable_all().thread_name("drumline-sqs").build()?;
    let handlers = Builder::new_multi_thread().enable_all().thread_name("drumline-job").build()?;
    Ok((io, handlers))
}

/// Runs blocking work on tokio's blocking threads, and lends runs the claim store and the queue's observer.
pub(crate) struct TokioHost {
    /// The queue's name.
    pub(crate) queue: Arc<str>,
    pub(crate) claim_store: Option<ClaimStoreClient>,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) max_receives: Option<NonZeroU32>,
    /// The number of further messages that may start, as of the loop's last turn.
    pub(crate) free_slots: Arc<AtomicUsize>,
    pub(crate) payloads: Payloads,
    pub(crate) next_jobs: Option<NextJobRoute>,
    /// The limits of the process's jobs, if it has some.
    pub(crate) limits: Option<Limits>,
    /// The timeouts of job types that have their own.
    pub(crate) handler_timeout_by_type: HashMap<String, Duration>,
}

impl TokioHost {
    /// Passes an input to the loop, at once if there is room, and then answers.
    fn send<T: Send + 'static>(&self, input: Input, answer: T) -> MaybeReady<'_, T> {
        match self.inputs.try_send(input) {
            // The loop only goes away when the queue is drained.
            Ok(()) | Err(TrySendError::Closed(_)) => MaybeReady::now(answer),
            Err(TrySendError::Full(input)) => MaybeReady::later(async move {
                drop(self.inputs.send(input).await);
                answer
            }),
        }
    }
}

impl RunEnvironment for TokioHost {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(work);
    }

    fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    fn open(&self, message: &Arc<Message>) -> MaybeReady<'_, Result<Option<Message>, OpenError>> {
        self.payloads.open(message)
    }

    fn opened(&self, delivery: DeliveryId) -> MaybeReady<'_, Option<Instant>> {
        let at = tokio::time::Instant::now().into_std();
        self.send(Input::Opened(delivery, at), Some(at))
    }

    fn started(&self, delivery: DeliveryId, job_type: &Arc<str>) -> MaybeReady<'_, Option<Duration>> {
        let Some(&timeout) = self.handler_timeout_by_type.get(&**job_type) else {
            return MaybeReady::now(None);
        };
        self.send(Input::Typed(delivery, Arc::clone(job_type)), Some(timeout))
    }

    fn admit(
        &self,
        job_type: &Arc<str>,
        message: &Message,
        payload: &RawValue,
        permit: Option<Permit>,
    ) -> Result<Option<Permit>, (JobClass, LimitWait)> {
        // Before the clock is read, which is most of this for a job without a limit.
        let Some(limits) = self.limits.as_ref().filter(|limits| limits.is_limiting()) else {
            return Ok(None);
        };
        let now = tokio::time::Instant::now().into_std();
        limits.admit(now, &self.queue, job_type, message, payload, permit)
    }

    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, String>> {
        match &self.claim_store {
            Some(claim_store) => claim_store.claim(request),
            None => MaybeReady::now(Ok(ClaimResult::Unclaimed)),
        }
    }

    fn claimed(&self, delivery: DeliveryId, answer: Claimed) -> MaybeReady<'_, ()> {
        self.send(Input::Claimed(delivery, answer), ())
    }

    fn send_next<'a>(
        &'a self,
        attempt: &'a AttemptInfo,
        jobs: Vec<NextJob>,
    ) -> MaybeReady<'a, Result<Option<NextJobs>, NextError>> {
        if let Some(route) = &self.next_jobs {
            route.send(attempt, jobs)
        } else {
            let reason = "no way to send jobs is set for this queue".to_owned();
            MaybeReady::now(Err(NextError::Permanent(reason)))
        }
    }

    fn sleep(&self, time: Duration, deadline: Instant) -> MaybeReady<'_, bool> {
        let end = tokio::time::Instant::now() + time;
        if end.into_std() > deadline {
            return MaybeReady::now(false);
        }
        MaybeReady::later(async move {
            tokio::time::sleep_until(end).await;
            true
        })
    }

    fn free_slots(&self) -> usize {
        self.free_slots.load(Ordering::Acquire)
    }

    fn max_receives(&self) -> Option<NonZeroU32> {
        self.max_receives
    }

    fn checkpoint(&self, attempt: &AttemptInfo, value: Box<RawValue>) {
        if let Some(claim_store) = &self.claim_store {
            claim_store.history_writer().checkpoint(attempt, value);
        }
    }

    fn extension(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.claim_store.as_ref().map(|claim_store| claim_store.store().as_any())
    }
}
