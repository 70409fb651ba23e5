//! The context of one attempt: its facts, and the handler's reports.

use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::mem;
use std::num::NonZeroU32;
use std::ops::Deref;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::oneshot;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tracing::warn;

use crate::api::attempt_info::AttemptInfo;
use crate::api::event::Event;
use crate::api::failure::Failure;
use crate::api::progress::Progress;
use crate::api::run_environment::RunEnvironment;
use crate::core::claim::{MAX_CHECKPOINT_BYTES, MAX_RESULT_BYTES};
use crate::core::control::{CancelReason, RunControl};
use crate::core::next_job::NextJob;

/// One attempt at one job. Cheap to clone. The facts of the attempt, such as its message and its identity, are the methods of
/// [`AttemptInfo`], to which a context dereferences.
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
    pub(crate) info: AttemptInfo,
    pub(crate) control: RunControl,
    pub(crate) host: Arc<dyn RunEnvironment>,
    pub(crate) checkpoint: Option<Box<RawValue>>,
    pub(crate) declared: Mutex<Declared>,
}

/// The values that are stored if the handler succeeds.
#[derive(Default)]
pub(crate) struct Declared {
    pub(crate) result: Option<Box<RawValue>>,
    /// The jobs that follow; no allocation without any.
    pub(crate) next: Vec<NextJob>,
}

thread_local! {
    /// The attempt whose handler runs on this thread now.
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// Has an attempt be the thread's current one until this is dropped.
pub(crate) struct Entered {
    before: Option<Context>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}

impl Deref for Context {
    type Target = AttemptInfo;

    fn deref(&self) -> &AttemptInfo {
        &self.0.info
    }
}

impl Context {
    /// Returns the context of the attempt that the calling code belongs to: inside a handler or its [`blocking`](Self::blocking) work.
    /// `None` elsewhere, also in tasks and threads that a handler has started: pass the context to those.
    ///
    /// ```
    /// use drumline::Context;
    /// assert!(Context::current().is_none(), "this is not a handler");
    /// ```
    pub fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Makes this the thread's current attempt.
    pub(crate) fn enter(&self) -> Entered {
        Entered { before: CURRENT.replace(Some(self.clone())) }
    }

    /// Swaps the thread's current attempt with the one in `place`.
    pub(crate) fn swap_current(place: &mut Option<Self>) {
        CURRENT.with_borrow_mut(|current| mem::swap(current, place));
    }

    /// Returns the number of receives after which the queue moves the message to its DLQ; `None` if the redrive policy is unknown, or
    /// if there is none. [`Message::receive_count`](crate::message::Message::receive_count) is the number of receives so far.
    pub fn max_receives(&self) -> Option<NonZeroU32> {
        self.0.host.max_receives()
    }

    /// Returns true if the handler must stop. Long loops check this now and then.
    pub fn is_cancelled(&self) -> bool {
        self.0.control.cancelled().is_some()
    }

    /// Returns the reason why the handler must stop; `None` while it may continue.
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        self.0.control.cancelled()
    }

    /// Waits until the handler must stop. One that continues is dropped a second later, at an await point. Cancel-safe.
    pub async fn cancelled(&self) -> CancelReason {
        self.0.control.until_cancelled().await
    }

    /// Reports the progress of the job.
    pub fn progress(&self, done: u64, total: u64, unit: impl Into<Cow<'static, str>>) {
        let progress = Progress { done, total, unit: unit.into() };
        self.0.host.observer().observe(&Event::Progress { attempt: self, progress: &progress });
    }

    /// Stores `value` for the next attempt, in case this one does not succeed. The last value replaces earlier ones; it is written
    /// within a second, and never after the claim was lost. At most [`MAX_CHECKPOINT_BYTES`] of JSON.
    ///
    /// A killed process may lose the values of the last second. Store what *has* happened; the next attempt then repeats a little.
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
    /// If the value is too large or not JSON. The failure is permanent.
    pub fn checkpoint<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let value = to_json(value, MAX_CHECKPOINT_BYTES, "checkpoint")?;
        self.0.host.checkpoint(self, value);
        Ok(())
    }

    /// Returns the value that an earlier attempt at this job stored with [`checkpoint`](Self::checkpoint). `None` if there is none, if
    /// the payload was different, or if the value does not deserialize as `T`, such as one that an older version stored.
    pub fn resume<T: DeserializeOwned>(&self) -> Option<T> {
        let kept = self.0.checkpoint.as_ref()?;
        let value = serde_json::from_str(kept.get());
        if let Err(error) = &value {
            warn!(parent: &self.0.info.span, %error, "the checkpoint does not fit: the job begins anew");
        }
        value.ok()
    }

    /// Sets the job's result, which `drumline jobs show` and the status endpoints return. It is stored together with the mark that the
    /// job is done. The last value replaces earlier ones. At most [`MAX_RESULT_BYTES`] of JSON: references, not data.
    ///
    /// # Errors
    /// If the value is too large or not JSON. The failure is permanent.
    pub fn set_result<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let value = to_json(value, MAX_RESULT_BYTES, "result")?;
        self.declared().result = Some(value);
        Ok(())
    }

    pub(crate) fn declared(&self) -> MutexGuard<'_, Declared> {
        self.0.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the host's extension if it is a `T`: its store, such as `PostgresStore` of `drumline-store`, to commit an effect and
    /// its mark in one transaction.
    pub fn extension<T: Any>(&self) -> Option<&T> {
        self.0.host.extension()?.downcast_ref()
    }

    /// Runs CPU-bound or blocking work on a thread for such work, inside this attempt's span.
    ///
    /// A thread cannot be stopped from outside: if the attempt is cancelled, the work still runs to its end, and the worker keeps the
    /// message until then. Long work should check [`is_cancelled`](Self::is_cancelled) now and then. A panic in the work counts as the
    /// handler's panic.
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
        let context = self.clone();
        self.0.host.spawn_blocking(Box::new(move || {
            let result = {
                let _entered = context.enter();
                context.0.info.span.in_scope(|| panic::catch_unwind(AssertUnwindSafe(work)))
            };
            drop(context);
            // If the handler was dropped, its ending is decided elsewhere.
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
        f.debug_tuple("Context").field(&self.0.info).finish()
    }
}
