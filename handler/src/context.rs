//! What a handler is told about its run, and what it can say back.

use std::fmt;
use std::num::NonZeroU32;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Instant;

use futures_channel::oneshot;
use tracing::Span;

use crate::control::{CancelReason, RunControl};
use crate::ending::Ending;
use crate::failure::Failure;
use crate::message::Message;

/// What a host lends to the handlers it runs.
pub trait Host: Send + Sync + 'static {
    /// Runs work that would hold up the async threads, on a thread made for that.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>);

    /// A run has found its handler and is about to begin.
    fn started(&self, _context: &Context) {}

    /// A run that began has ended, whatever is made of it.
    fn ended(&self, _context: &Context, _ending: &Ending) {}

    /// A handler tells how far it is.
    fn progress(&self, _context: &Context, _progress: &Progress) {}
}

/// How far a handler is, in units of its own work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// What is counted, such as `images` or `records`.
    pub unit: &'static str,
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
    pub(crate) job_id: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) correlation_id: Option<String>,
}

impl Context {
    /// Which attempt this is, from 1. Counted in receives, so a deploy or a crash counts as well.
    pub fn attempt(&self) -> NonZeroU32 {
        self.0.attempt
    }

    /// When this attempt is cancelled at the latest: the handler timeout, or what remains of SQS's twelve hours.
    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// The name of the queue.
    pub fn queue(&self) -> &str {
        &self.0.queue
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

    /// The producer's id of the job, else the message id.
    pub fn job_id(&self) -> &str {
        self.0.job_id.as_deref().unwrap_or(&self.0.message.id)
    }

    /// Under which key the job's effect happens once: hand it to whatever has the effect.
    pub fn idempotency_key(&self) -> &str {
        self.0.idempotency_key.as_deref().unwrap_or(self.job_id())
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
    pub fn progress(&self, done: u64, total: u64, unit: &'static str) {
        self.0.host.progress(self, &Progress { done, total, unit });
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
