//! What a handler is told about its run, and what it can say back.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tracing::{Span, warn};

use crate::api::failure::Failure;
use crate::core::claim::{Admission, Claim, ClaimRequest, Claimed, MAX_CHECKPOINT_BYTES, MAX_RESULT_BYTES};
use crate::core::control::{CancelReason, RunControl};
use crate::core::delivery::DeliveryId;
use crate::message::identity::Identity;
use crate::message::sqs_message::{Attribute, Message, text_of};
use crate::message::trace::traceparent;
use crate::run::answer::Answer;
use crate::run::event::Event;
use crate::run::observer::{NoopObserver, Observer};

/// What a host lends to the handlers it runs.
///
/// All but the blocking work may be left out: then no events are observed, and jobs run without a claim.
pub trait Host: Send + Sync + 'static {
    /// Runs work that would hold up the async threads, on a thread made for that.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>);

    /// Returns the observer of the run's events: its start, its progress, its end.
    fn observer(&self) -> &dyn Observer {
        &NoopObserver
    }

    /// Asks the store for the claim of a job, once; the error is the store's, which does not answer. It must end in a bounded
    /// time: the ledger decides whether the run asks again.
    fn claim<'a>(&'a self, _request: &'a ClaimRequest) -> Answer<'a, Result<Admission, String>> {
        Answer::now(Ok(Admission::Unclaimed))
    }

    /// Passes an answer of the store to [`Ledger::claimed`](crate::Ledger::claimed), before the run's end.
    fn claimed(&self, _delivery: DeliveryId, _answer: Claimed) -> Answer<'_, ()> {
        Answer::now(())
    }

    /// Waits for `time`, and returns true; returns false at once if that would end after `deadline`. Without a clock, which is the
    /// default, no step is [retried](Context::retry).
    fn sleep(&self, _time: Duration, _deadline: Instant) -> Answer<'_, bool> {
        Answer::now(false)
    }

    /// The receives after which the queue moves a message to its DLQ, if that is known.
    fn max_receives(&self) -> Option<NonZeroU32> {
        None
    }

    /// Keeps a value for the next attempt, soon.
    #[allow(clippy::boxed_local, reason = "those that keep it want it whole")]
    fn checkpoint(&self, _context: &Context, _value: Box<RawValue>) {}

    /// Whatever else the host has for handlers, by its type: such as its store.
    fn extension(&self) -> Option<&(dyn Any + Send + Sync)> {
        None
    }
}

/// How far a handler is, in units of its own work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// What is counted, such as `images` or `records`.
    pub unit: Cow<'static, str>,
}

/// One attempt at one job. Cheap to clone.
///
/// ```
/// # use drumline::{Context, Failure, Job};
/// # #[derive(serde::Deserialize)] struct Crawl { pages: u64 }
/// # impl Job for Crawl { const TYPE: &'static str = "crawl"; }
/// # async fn fetch(page: u64) -> Result<(), std::io::Error> { Ok(()) }
/// async fn crawl(ctx: Context, job: Crawl) -> Result<(), Failure> {
///     for page in 0..job.pages {
///         if ctx.is_cancelled() {
///             return Err(Failure::retry("stopped half-way"));
///         }
///         fetch(page).await?;
///         ctx.progress(page + 1, job.pages, "pages");
///     }
///     Ok(())
/// }
/// # let _ = drumline::Router::new().handle(crawl);
/// ```
#[derive(Clone)]
pub struct Context(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) queue: Arc<str>,
    pub(crate) message: Arc<Message>,
    pub(crate) attempt: NonZeroU32,
    pub(crate) deadline: Instant,
    pub(crate) control: RunControl,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) span: Span,
    pub(crate) job_type: Arc<str>,
    pub(crate) version: u32,
    pub(crate) identity: Arc<Identity>,
    pub(crate) attributes: BTreeMap<String, Attribute>,
    pub(crate) correlation_id: Option<String>,
    pub(crate) claim: Option<Arc<Claim>>,
    pub(crate) checkpoint: Option<Box<RawValue>>,
    pub(crate) result: Mutex<Option<Box<RawValue>>>,
}

impl Context {
    /// Which attempt at this message this is, from 1. A run that was stopped, by a deploy say, does not count; a crash
    /// does.
    pub fn attempt(&self) -> NonZeroU32 {
        self.0.attempt
    }

    /// When this attempt is cancelled at the latest: the handler timeout, or what remains of SQS's twelve hours.
    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// The receives after which the queue moves the message to its DLQ; `None` if the redrive policy is not known, or if there
    /// is none. The message says how many there have been.
    pub fn max_receives(&self) -> Option<NonZeroU32> {
        self.0.host.max_receives()
    }

    /// The name of the queue, which a queue of another region or account may share.
    pub fn queue(&self) -> &str {
        // No name contains a slash, while a label has one after what tells namesakes apart.
        self.0.queue.rsplit('/').next().unwrap_or_default()
    }

    /// The message as received.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    /// The job's type, such as `image.process`.
    pub fn job_type(&self) -> &str {
        &self.0.job_type
    }

    /// The payload's version as the producer wrote it, before any upcaster.
    pub fn schema_version(&self) -> u32 {
        self.0.version
    }

    /// The producer's id of the job, else the envelope's own, else the message id.
    pub fn job_id(&self) -> &str {
        self.0.identity.job_id()
    }

    /// The idempotency key of the job: the one that its code computes, else the producer's, else the job id. Hand it to
    /// the service that has the effect. It is unique among jobs of one scope, type and source; a service that several job
    /// types use should be given [`identity().key()`](Identity::key) instead.
    pub fn idempotency_key(&self) -> &str {
        self.0.identity.id()
    }

    /// The identity of the job: the claim, its history and its progress are kept under it.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.0.identity
    }

    /// Returns the text of an attribute: of the message, else of the envelope inside it (an SNS notification's attributes,
    /// a `CloudEvent`'s extensions).
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.0.message.attribute(name).or_else(|| text_of(&self.0.attributes, name))
    }

    /// The attributes that came inside the envelope: of an SNS notification, or a `CloudEvent`'s extensions.
    pub fn envelope_attributes(&self) -> &BTreeMap<String, Attribute> {
        &self.0.attributes
    }

    /// The W3C `traceparent` of the job: the message's, else the one inside the envelope. See
    /// [`Message::traceparent`].
    pub fn traceparent(&self) -> Option<String> {
        traceparent(&self.0.message, &self.0.attributes)
    }

    /// What ties the job to the request that caused it, else the job id.
    pub fn correlation_id(&self) -> &str {
        self.0.correlation_id.as_deref().unwrap_or(self.job_id())
    }

    /// The span of this attempt; the handler already runs inside it.
    pub fn span(&self) -> &Span {
        &self.0.span
    }

    /// Whether the run is to stop. Long loops look here now and then.
    pub fn is_cancelled(&self) -> bool {
        self.0.control.cancelled().is_some()
    }

    /// Why the run is to stop, once it is.
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        self.0.control.cancelled()
    }

    /// Waits until the run is to stop. A handler that goes on regardless is dropped a second later, at an await
    /// point. Cancel-safe.
    pub async fn cancelled(&self) -> CancelReason {
        self.0.control.until_cancelled().await
    }

    /// Tells how far the job is.
    pub fn progress(&self, done: u64, total: u64, unit: impl Into<Cow<'static, str>>) {
        let progress = Progress { done, total, unit: unit.into() };
        self.0.host.observer().observe(&Event::Progress { context: self, progress: &progress });
    }

    /// The claim under which this attempt runs: nobody else has the job's idempotency key meanwhile. `None` where the host
    /// keeps no claims.
    ///
    /// Its counter is a fencing token: where what is written to takes one, an owner that was paused and wakes up late is
    /// refused by it.
    pub fn claim(&self) -> Option<&Arc<Claim>> {
        self.0.claim.as_ref()
    }

    /// Keeps `value` for the next attempt, should this one not come to its end. The last value counts; it is written
    /// within a second, and never after the claim was lost. At most [`MAX_CHECKPOINT_BYTES`] of JSON.
    ///
    /// A process that is killed may lose the last second: keep what *has* happened, and the next attempt repeats a little.
    ///
    /// ```
    /// # use drumline::{Context, Failure};
    /// # async fn copy(from: u64) -> Result<(), Failure> { Ok(()) }
    /// async fn copy_all(ctx: Context, total: u64) -> Result<(), Failure> {
    ///     let first = ctx.resume::<u64>().unwrap_or(0);
    ///     for record in first..total {
    ///         copy(record).await?;
    ///         ctx.checkpoint(&(record + 1))?;
    ///         ctx.progress(record + 1, total, "records");
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// Where the value is too large, or is no JSON: no attempt can succeed.
    pub fn checkpoint<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let value = to_json(value, MAX_CHECKPOINT_BYTES, "checkpoint")?;
        self.0.host.checkpoint(self, value);
        Ok(())
    }

    /// What an earlier attempt at this job kept with [`checkpoint`](Self::checkpoint). `None` where there was none, where
    /// the payload was another one, or where it does not fit `T`: an older version may have kept it.
    pub fn resume<T: DeserializeOwned>(&self) -> Option<T> {
        let kept = self.0.checkpoint.as_ref()?;
        let value = serde_json::from_str(kept.get());
        if let Err(error) = &value {
            warn!(parent: &self.0.span, %error, "the checkpoint does not fit: the job begins anew");
        }
        value.ok()
    }

    /// What the job leaves for whoever asks for it: stored with the mark that it is done, once the handler has succeeded.
    /// The last value counts. At most [`MAX_RESULT_BYTES`] of JSON: references, not data.
    ///
    /// # Errors
    /// Where the value is too large, or is no JSON: no attempt can succeed.
    pub fn set_result<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let value = to_json(value, MAX_RESULT_BYTES, "result")?;
        *self.0.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(())
    }

    pub(crate) fn take_result(&self) -> Option<Box<RawValue>> {
        self.0.result.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What the host has for handlers besides, where it is a `T`: its store, such as `PostgresStore` of `drumline-store`,
    /// for an effect and its mark in one transaction.
    pub fn extension<T: Any>(&self) -> Option<&T> {
        self.0.host.extension()?.downcast_ref()
    }

    /// Runs CPU-bound or blocking work on a thread made for that, inside this attempt's span.
    ///
    /// No thread can be stopped from outside: where the attempt is cancelled, the work goes on to its end, and the
    /// message stays ours until then. Long work therefore asks [`is_cancelled`](Self::is_cancelled) now and then. A
    /// panic in the work is the handler's panic.
    ///
    /// ```
    /// # use drumline::{Context, Failure};
    /// # async fn example(ctx: Context) -> Result<(), Failure> {
    /// let sum = ctx.blocking(|| Ok((0..1_000_000u64).sum::<u64>())).await?;
    /// # Ok(()) }
    /// ```
    pub async fn blocking<T, F>(&self, work: F) -> Result<T, Failure>
    where
        F: FnOnce() -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let running = self.0.control.begin_blocking();
        let span = self.0.span.clone();
        self.0.host.spawn_blocking(Box::new(move || {
            let result = span.in_scope(|| panic::catch_unwind(AssertUnwindSafe(work)));
            // Nobody listens once the handler was dropped; its ending is decided then.
            let _ = answer.send(result);
            drop(running);
        }));
        match answered.await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => panic::resume_unwind(panic),
            Err(oneshot::Canceled) => {
                Err(Failure::retry("the process stopped before the blocking work began"))
            }
        }
    }
}

fn to_json<T: Serialize>(value: &T, max: usize, what: &str) -> Result<Box<RawValue>, Failure> {
    let value = serde_json::value::to_raw_value(value)
        .map_err(|error| Failure::reject(format_args!("the {what} cannot be written as JSON: {error}")))?;
    let bytes = value.get().len();
    if bytes > max {
        return Err(Failure::reject(format_args!("the {what} has {bytes} bytes of JSON, {max} at most fit")));
    }
    Ok(value)
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("queue", &self.0.queue)
            .field("job_type", &self.0.job_type)
            .field("job_id", &self.job_id())
            .field("attempt", &self.0.attempt)
            .finish_non_exhaustive()
    }
}
