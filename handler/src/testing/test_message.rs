//! A message of a test, before its run.

use std::borrow::Cow;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::bench::Bench;
use super::run_one::{Received, run_one};
use super::test_run::TestRun;
use super::trouble::{At, ClaimTrouble, Signal, Stop};
use crate::api::arrivals::Arrival;
use crate::core::control::CancelReason;
use crate::message::sqs_message::{Attribute, Message};

/// One message of a [`Tester`](super::Tester), to be run once: awaiting it runs it.
///
/// Its faults work as in a host: a cancelled handler reads the reason from its [`Context`](crate::Context), has a second to
/// return, and is then dropped; [`decide`](crate::core::decide()) decides how that counts.
///
/// ```
/// use drumline::core::{CancelReason, Outcome};
/// use drumline::testing::{At, Tester};
/// # use drumline::{Context, Failure, Job, Router};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Crawl { pages: u64 }
/// # impl Job for Crawl { const TYPE: &'static str = "crawl"; }
///
/// async fn crawl(ctx: Context, job: Crawl) -> Result<(), Failure> {
///     for page in ctx.resume().unwrap_or(0)..job.pages {
///         if ctx.is_cancelled() {
///             return Err(Failure::retry("stopped half-way"));
///         }
///         ctx.checkpoint(&(page + 1))?;
///         ctx.progress(page + 1, job.pages, "pages");
///     }
///     Ok(())
/// }
///
/// # async fn example() {
/// let tester = Tester::new(Router::new().handle(crawl));
/// let stopped = tester.job(&Crawl { pages: 9 }).shut_down(At::Progress(4)).await;
/// assert_eq!(*stopped.outcome(), Outcome::Requeue, "{stopped}");
/// assert_eq!(stopped.cancelled(), Some(CancelReason::Shutdown));
/// assert_eq!(stopped.checkpoint(), Some(4));
///
/// let next = tester.job(&Crawl { pages: 9 }).await;
/// assert!(next.is_done(), "{next}");
/// assert_eq!(next.progress()[0].done, 5);
/// # }
/// # use futures_util::FutureExt;
/// # example().now_or_never().expect("nothing to wait for");
/// ```
#[must_use = "a message runs when it is awaited"]
pub struct TestMessage {
    bench: Bench,
    content: Content,
    queue: Arc<str>,
    id: Option<Arc<str>>,
    receive_count: Option<u32>,
    /// Its other fields.
    message: Message,
    stop: Option<Stop>,
    claim_trouble: Option<ClaimTrouble>,
    checkpoint: Option<Box<RawValue>>,
    signal: Option<Signal>,
    arrival: Option<Arrival>,
}

pub(super) enum Content {
    Body(String),
    Job(JobBody),
}

/// A job in the native envelope.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobBody {
    #[serde(rename = "type")]
    pub(super) job_type: Cow<'static, str>,
    pub(super) schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) job_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) idempotency_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) correlation_id: Option<String>,
    pub(super) payload: Box<RawValue>,
}

impl TestMessage {
    pub(super) fn new(bench: Bench, content: Content) -> Self {
        Self {
            bench,
            content,
            queue: "jobs".into(),
            id: None,
            receive_count: None,
            message: Message::default(),
            stop: None,
            claim_trouble: None,
            checkpoint: None,
            signal: None,
            arrival: None,
        }
    }

    /// Announces the message to the batches of its queue.
    pub(super) fn announced(self) -> Self {
        Self { arrival: self.bench.router.arrival(&self.queue), ..self }
    }

    /// Sets the message's id. The same id again is the same message, received once more, even after its end: SQS may redeliver
    /// a deleted message.
    pub fn message_id(self, id: &str) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// Sets the number of receives of the message, including this one; the tester counts on from there.
    pub fn receive_count(self, count: u32) -> Self {
        Self { receive_count: Some(count), ..self }
    }

    /// Adds a message attribute: a text, or an [`Attribute`] of another type.
    pub fn attribute(mut self, name: &str, value: impl Into<Attribute>) -> Self {
        self.message.attributes.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the message group.
    pub fn group(mut self, group: &str) -> Self {
        self.message.group = Some(group.to_owned());
        self
    }

    /// Sets the time at which the producer sent it, since the Unix epoch.
    pub fn sent_at(mut self, since_epoch: Duration) -> Self {
        self.message.sent_at = Some(since_epoch);
        self
    }

    /// Changes any other field of the message as SQS delivers it. The tester sets its id, body, and receive count.
    pub fn message(mut self, change: impl FnOnce(&mut Message)) -> Self {
        change(&mut self.message);
        self
    }

    /// Sets the name of the queue, by default `jobs`.
    pub fn queue(self, name: &str) -> Self {
        Self { queue: name.into(), ..self }
    }

    /// Sets the envelope's `jobId`.
    ///
    /// # Panics
    /// If the message is a [`body`](super::Tester::body), which has its own.
    pub fn job_id(mut self, id: &str) -> Self {
        self.envelope("jobId").job_id = Some(id.to_owned());
        self
    }

    /// Sets the envelope's `idempotencyKey`.
    ///
    /// # Panics
    /// If the message is a [`body`](super::Tester::body), which has its own.
    pub fn idempotency_key(mut self, key: &str) -> Self {
        self.envelope("idempotencyKey").idempotency_key = Some(key.to_owned());
        self
    }

    /// Sets the envelope's `correlationId`.
    ///
    /// # Panics
    /// If the message is a [`body`](super::Tester::body), which has its own.
    pub fn correlation_id(mut self, id: &str) -> Self {
        self.envelope("correlationId").correlation_id = Some(id.to_owned());
        self
    }

    fn envelope(&mut self, field: &str) -> &mut JobBody {
        match &mut self.content {
            Content::Job(job) => job,
            Content::Body(_) => panic!("a body is sent as it is: write its {field} into it"),
        }
    }

    /// Has the run resume from this checkpoint, in place of that of the attempt before, for example one of another version of
    /// the code.
    ///
    /// # Panics
    /// If it cannot be written as JSON.
    #[track_caller]
    pub fn checkpoint(self, value: &impl Serialize) -> Self {
        match serde_json::value::to_raw_value(value) {
            Ok(value) => Self { checkpoint: Some(value), ..self },
            Err(error) => panic!("the checkpoint cannot be written as JSON: {error}"),
        }
    }

    /// Has the message's lease end during the run: another worker may receive the message, while the run still has the job's
    /// claim.
    pub fn lose_lease(self, at: At) -> Self {
        self.stop(at, CancelReason::LeaseLost, false)
    }

    /// Has another run take the job's claim: no later checkpoint of this run is stored, and no result.
    pub fn lose_claim(self, at: At) -> Self {
        self.stop(at, CancelReason::LeaseLost, true)
    }

    /// Has the attempt's time end.
    pub fn time_out(self, at: At) -> Self {
        self.stop(at, CancelReason::TimedOut, false)
    }

    /// Has the worker shut down, at the end of its grace.
    pub fn shut_down(self, at: At) -> Self {
        self.stop(at, CancelReason::Shutdown, false)
    }

    fn stop(self, at: At, reason: CancelReason, takes_claim: bool) -> Self {
        Self { stop: Some(Stop { at, reason, takes_claim }), ..self }
    }

    /// Stops the run for this reason once `ready` is: at a moment that the test determines, for example a request to its
    /// server.
    ///
    /// ```
    /// use drumline::core::CancelReason;
    /// use drumline::testing::Tester;
    /// # use drumline::{Context, Failure, Job, Router};
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Watch;
    /// # impl Job for Watch { const TYPE: &'static str = "watch"; }
    ///
    /// async fn watch(ctx: Context, _: Watch) -> Result<(), Failure> {
    ///     let reason = ctx.cancelled().await;
    ///     Err(Failure::retry(format!("stopped: {reason:?}")))
    /// }
    ///
    /// # async fn example() {
    /// let tester = Tester::new(Router::new().handle(watch));
    /// let run = tester.job(&Watch).stop_when(CancelReason::Shutdown, async { /* until the moment */ }).await;
    /// assert_eq!(run.handler_ending().reason(), Some("stopped: Shutdown"), "{run}");
    /// # }
    /// # use futures_util::FutureExt;
    /// # example().now_or_never().expect("nothing to wait for");
    /// ```
    pub fn stop_when(self, reason: CancelReason, ready: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { signal: Some(Signal { reason, ready: Box::pin(ready) }), ..self }
    }

    /// Has another worker run the job.
    pub fn busy(self) -> Self {
        Self { claim_trouble: Some(ClaimTrouble::Busy), ..self }
    }

    /// Has another job hold the job's [`lock`](crate::Job::lock).
    pub fn locked(self) -> Self {
        Self { claim_trouble: Some(ClaimTrouble::Locked), ..self }
    }

    /// Has the store not answer the run's request for its claim, for as long as a worker repeats it.
    pub fn store_down(self) -> Self {
        Self { claim_trouble: Some(ClaimTrouble::Unanswered), ..self }
    }
}

impl IntoFuture for TestMessage {
    type Output = TestRun;
    type IntoFuture = Pin<Box<dyn Future<Output = TestRun> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            bench,
            content,
            queue,
            id,
            receive_count,
            message,
            stop,
            claim_trouble,
            checkpoint,
            signal,
            arrival,
        } = self;
        let body = match content {
            Content::Body(body) => body,
            Content::Job(job) => serde_json::to_string(&job).expect("texts, numbers and JSON are JSON"),
        };
        Box::pin(async move {
            let (id, receive_count) = bench.memory().receive(&queue, &body, id, receive_count);
            let message = Message { id, body, receive_count, ..message };
            let received = Received { queue, message, stop, claim_trouble, checkpoint, signal, arrival };
            run_one(bench, received).await
        })
    }
}
