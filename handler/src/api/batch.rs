//! Batch handlers: their items, their options, and the outcomes they give.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::api::batch_context::BatchContext;
use crate::api::context::Context;
use crate::api::failure::Failure;

/// The default maximum number of items of a batch.
const MAX_ITEMS: usize = 100;

/// The default wait for more items: short compared to the time of a bulk insert.
const LINGER: Duration = Duration::from_millis(50);

/// Options for collecting jobs into batches. The default takes up to 100, and waits 50 ms for more.
///
/// ```
/// use std::time::Duration;
/// use drumline::batch::BatchOptions;
///
/// let options = BatchOptions::new().max_items(500).linger(Duration::from_millis(200));
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "options do nothing unless they are given to `Router::handle_batch`"]
pub struct BatchOptions {
    pub(crate) max_items: usize,
    pub(crate) linger: Duration,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self { max_items: MAX_ITEMS, linger: LINGER }
    }
}

impl BatchOptions {
    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the maximum number of items of a batch, from 1. A worker never has more of them than its `concurrency`.
    pub fn max_items(self, max_items: usize) -> Self {
        Self { max_items, ..self }
    }

    /// Sets the time for which the first item of a batch waits for more. It is part of the attempt's time; if that would end
    /// before, the batch waits only for the items that are already announced.
    pub fn linger(self, linger: Duration) -> Self {
        Self { linger, ..self }
    }
}

/// The end of a batch handler: the outcome of the items that it has not settled. An error, for example from `?`, fails all of
/// them.
pub type BatchResult = Result<Rest, Failure>;

/// The outcome of the items that a batch handler has not settled itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// They are done.
    Done,
    /// They need another attempt: the handler has not processed them.
    Retry,
}

/// A job of a batch.
pub struct Item<J> {
    /// The job.
    pub job: J,
    /// Its own attempt: ids, number, deadline, cancellation, checkpoints, progress, result, next jobs.
    pub context: Context,
    pub(crate) seat: Arc<Seat>,
}

impl<J> Item<J> {
    /// Settles the item as done: its effect has happened, and this outcome remains if the handler fails later. If an item gets
    /// several outcomes, the last counts.
    ///
    /// Its result is that of [`Context::set_result`].
    pub fn done(&self) {
        self.seat.settle(Ok(()));
    }

    /// Settles the item as failed: any error means *retry*, and a [`Failure`] may mean another treatment. If an item gets
    /// several outcomes, the last counts.
    pub fn failed(&self, failure: impl Into<Failure>) {
        self.seat.settle(Err(failure.into()));
    }

    /// Settles the item with the result of its work.
    ///
    /// ```
    /// use drumline::batch::{BatchContext, BatchResult, Item, Rest};
    /// # use drumline::{Job, Router};
    /// # #[derive(serde::Deserialize)] struct Ping { url: String }
    /// # impl Job for Ping { const TYPE: &'static str = "ping"; }
    /// # async fn ping(url: &str) -> Result<(), std::io::Error> { Ok(()) }
    /// async fn ping_all(_: BatchContext, items: Vec<Item<Ping>>) -> BatchResult {
    ///     for item in &items {
    ///         if !item.context.is_cancelled() {
    ///             item.settle(ping(&item.job.url).await);
    ///         }
    ///     }
    ///     Ok(Rest::Retry)
    /// }
    /// # let _ = Router::new().handle_batch(Default::default(), ping_all);
    /// ```
    pub fn settle(&self, result: Result<(), impl Into<Failure>>) {
        self.seat.settle(result.map_err(Into::into));
    }
}

impl<J: fmt::Debug> fmt::Debug for Item<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item").field("job", &self.job).field("context", &self.context).finish_non_exhaustive()
    }
}

/// Handles jobs of one type, many at once. Implemented by every `async fn(BatchContext, Vec<Item<J>>) -> BatchResult`; a handler with state
/// implements it on its own type, or is a closure over it, as a [`Handler`](crate::Handler).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a batch handler",
    label = "expected an `async fn(BatchContext, Vec<Item<J>>) -> BatchResult`, where `J` implements `Job`",
    note = "a batch handler is an async function of two arguments, in this order: `drumline::batch::BatchContext`, then the items",
    note = "it returns `BatchResult`, such as `Ok(Rest::Done)`; inside, `?` turns every error into a `Failure`"
)]
pub trait BatchHandler<J>: Send + Sync + 'static {
    /// Makes one attempt at each of the jobs, of which there is at least one. They may run again at any time, with others, so
    /// their effects must be safe to repeat.
    fn handle(&self, context: BatchContext, items: Vec<Item<J>>) -> impl Future<Output = BatchResult> + Send;
}

/// The future of a batch handler that is a function. A separate trait, so that compiler errors explain what a handler must
/// return.
#[diagnostic::on_unimplemented(
    message = "a batch handler must be an `async fn` that returns `BatchResult`",
    label = "this one returns `{Self}`",
    note = "it ends with `Ok(Rest::Done)`, or with `Ok(Rest::Retry)` after it has settled each item that is done by `Item::done`",
    note = "inside, `?` turns every error into a `Failure` of the items that are not settled"
)]
pub trait BatchRun: Future<Output = BatchResult> {}

#[diagnostic::do_not_recommend]
impl<F: Future<Output = BatchResult>> BatchRun for F {}

impl<J, F, Fut> BatchHandler<J> for F
where
    F: Fn(BatchContext, Vec<Item<J>>) -> Fut + Send + Sync + 'static,
    Fut: BatchRun + Send,
{
    fn handle(&self, context: BatchContext, items: Vec<Item<J>>) -> impl Future<Output = BatchResult> + Send {
        self(context, items)
    }
}

/// The outcome of an item, on its way from the batch's handler to the item's run.
#[derive(Default)]
pub(crate) struct Seat(Mutex<Outcome>);

enum Outcome {
    /// The handler may still settle it.
    Open(Option<Result<(), Failure>>),
    /// `None` once its run has it.
    Ended(Option<ItemEnd>),
}

impl Default for Outcome {
    fn default() -> Self {
        Self::Open(None)
    }
}

/// The end of an item, as if it had a separate handler.
#[derive(Debug)]
pub(crate) enum ItemEnd {
    Returned(Result<(), Failure>),
    /// The handler panicked with this message.
    Panicked(String),
}

impl Seat {
    fn lock(&self) -> MutexGuard<'_, Outcome> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, result: Result<(), Failure>) {
        if let Outcome::Open(outcome) = &mut *self.lock() {
            *outcome = Some(result);
        }
    }

    /// Ends the item when its batch ends: with its outcome if it has one, else with this one.
    pub(crate) fn end(&self, otherwise: impl FnOnce() -> ItemEnd) {
        let mut outcome = self.lock();
        if let Outcome::Open(settled) = &mut *outcome {
            let end = settled.take().map_or_else(otherwise, ItemEnd::Returned);
            *outcome = Outcome::Ended(Some(end));
        }
    }

    /// Takes the end for the item's run, which then stops waiting. `None` if the batch has not ended, and the item is not
    /// settled.
    pub(crate) fn take(&self) -> Option<ItemEnd> {
        match std::mem::replace(&mut *self.lock(), Outcome::Ended(None)) {
            Outcome::Open(settled) => settled.map(ItemEnd::Returned),
            Outcome::Ended(end) => end,
        }
    }
}
