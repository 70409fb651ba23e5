//! The collector of one batch handler: it joins the runs of a type into batches.
//!
//! To its run, an item looks like a plain handler: a future that joins the open batch of its queue and waits for its own
//! outcome. The work of the batch, its linger and then its handler, is one future. One of the waiting runs polls it. If that
//! run ends before the batch does, the next run continues to poll it. So a batch needs no separate task, and loses no item when
//! another item's run ends.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use event_listener::Event;
use foldhash::fast::RandomState;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use futures_util::lock::Mutex as AsyncMutex;
use tracing::Instrument;

use crate::api::arrivals::{Arrival, Arrivals, QueueArrivals};
use crate::api::batch::{BatchHandler, BatchOptions, BatchResult, Item, ItemEnd, Rest, Seat};
use crate::api::batch_context::BatchContext;
use crate::api::context::Context;
use crate::api::decoded::Panic;
use crate::api::failure::Failure;
use crate::api::job::Job;
use crate::api::router::Router;
use crate::api::run_environment::RunEnvironment;
use crate::core::reason::panic_message;
use crate::run::in_attempt::InAttempt;

impl Router {
    /// Adds a handler that takes many jobs of `J` at once, for example a bulk insert; see [`batch`](crate::batch).
    ///
    /// ```
    /// use drumline::batch::{BatchContext, BatchOptions, BatchResult, Item, Rest};
    /// # use drumline::{Job, Router};
    /// # #[derive(serde::Deserialize)] struct Row { name: String }
    /// # impl Job for Row { const TYPE: &'static str = "row.insert"; }
    /// # async fn insert_rows(names: &[&str]) -> Result<(), std::io::Error> { Ok(()) }
    ///
    /// async fn insert(_: BatchContext, items: Vec<Item<Row>>) -> BatchResult {
    ///     let names: Vec<&str> = items.iter().map(|item| &*item.job.name).collect();
    ///     insert_rows(&names).await?;
    ///     Ok(Rest::Done)
    /// }
    /// let router = Router::new().handle_batch(BatchOptions::new(), insert);
    /// # assert!(router.check().is_ok());
    /// ```
    pub fn handle_batch<J: Job, H: BatchHandler<J>>(mut self, options: BatchOptions, handler: H) -> Self {
        if options.max_items == 0 {
            self.problems.push(format!("job type {}: the max_items of its batches starts at 1", J::TYPE));
        }
        let arrivals = self.arrivals.get_or_insert_default().clone();
        let collector = Arc::new(Collector::new(options, handler, arrivals));
        self.handle(move |context: Context, job: J| Arc::clone(&collector).join(context, job))
    }

    /// Announces a run of this queue, for [`Attempt::arrival`](crate::run::Attempt::arrival). `None` without any batch handler.
    pub fn arrival(&self, queue: &Arc<str>) -> Option<Arrival> {
        self.arrivals.as_ref().map(|arrivals| arrivals.announce(queue))
    }
}

/// Joins the jobs of one batch handler.
pub(crate) struct Collector<J, H> {
    options: BatchOptions,
    handler: H,
    arrivals: Arrivals,
    /// The batches that items can still join, by queue.
    open: Mutex<HashMap<Arc<str>, Batch<J>, RandomState>>,
}

/// The linger of a batch, and then its handler.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A batch, as its items hold it.
struct Batch<J> {
    members: Arc<Members<J>>,
    /// Locked by the item that polls it. `None` once it has ended.
    work: Arc<AsyncMutex<Option<Work>>>,
}

impl<J> Clone for Batch<J> {
    fn clone(&self) -> Self {
        Self { members: Arc::clone(&self.members), work: Arc::clone(&self.work) }
    }
}

/// The part of a batch that its work also holds.
struct Members<J> {
    /// The items that have joined, until the handler has them.
    items: Mutex<Vec<Item<J>>>,
    /// The deadline of the first item.
    deadline: Instant,
    is_full: AtomicBool,
    /// An item has joined that has less time than the first one.
    is_short_of_time: AtomicBool,
    is_over: AtomicBool,
    over: Event,
}

impl<J> Members<J> {
    fn items(&self) -> MutexGuard<'_, Vec<Item<J>>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.over.notify(usize::MAX);
    }

    async fn until_over(&self) {
        while !self.is_over.load(Ordering::Acquire) {
            let listener = self.over.listen();
            // Checked again after listening, because the end may have come in between.
            if !self.is_over.load(Ordering::Acquire) {
                listener.await;
            }
        }
    }
}

impl<J> Batch<J> {
    /// Waits until the batch is over, and polls its work if no other item does. Cancel-safe: another item continues to poll it.
    async fn until_over(&self) {
        let work = async {
            let mut work = self.work.lock().await;
            if let Some(running) = work.as_mut() {
                running.await;
                *work = None;
            }
        };
        select(pin!(self.members.until_over()), pin!(work)).await;
    }
}

impl<J: Send + 'static, H: BatchHandler<J>> Collector<J, H> {
    pub(crate) fn new(options: BatchOptions, handler: H, arrivals: Arrivals) -> Self {
        Self { options, handler, arrivals, open: Mutex::default() }
    }

    /// Adds a job to the open batch of its queue, and waits for its own outcome.
    ///
    /// # Panics
    /// If the batch's handler panics before the item is settled.
    pub(crate) async fn join(self: Arc<Self>, context: Context, job: J) -> Result<(), Failure> {
        let control = context.0.control.clone();
        let place = self.enter(context, job);
        let has_left = {
            let stopped = async {
                control.until_cancelled().await;
                let has_left = place.leave();
                if !has_left {
                    // The handler has a second to return, like a plain handler.
                    control.until_aborted().await;
                }
                has_left
            };
            match select(pin!(place.batch.until_over()), pin!(stopped)).await {
                Either::Left(_) => false,
                Either::Right((has_left, _)) => has_left,
            }
        };
        match place.seat.take() {
            Some(ItemEnd::Returned(result)) => result,
            Some(ItemEnd::Panicked(message)) => resume_unwind(Box::new(message)),
            None if has_left => Err(Failure::retry("the run was stopped before its batch began")),
            // The run is being dropped.
            None => pending().await,
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Arc<str>, Batch<J>, RandomState>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, context: Context, job: J) -> Place<J, H> {
        let (queue, deadline) = (Arc::clone(&context.queue), context.deadline());
        let seat = Arc::<Seat>::default();
        let mut open = self.open();
        let batch = open.entry(Arc::clone(&queue)).or_insert_with(|| self.begin(&context)).clone();
        let count = {
            let mut items = batch.members.items();
            items.push(Item { job, context, seat: Arc::clone(&seat) });
            items.len()
        };
        let (is_full, is_short_of_time) =
            (count >= self.options.max_items, deadline < batch.members.deadline);
        if is_full {
            // The next item begins another one.
            open.remove(&queue);
            batch.members.is_full.store(true, Ordering::Release);
        }
        drop(open);
        if is_short_of_time {
            batch.members.is_short_of_time.store(true, Ordering::Release);
        }
        if is_full || is_short_of_time {
            self.arrivals.of(&queue).wake();
        }
        Place { collector: Arc::clone(self), queue, batch, seat }
    }

    /// Begins a batch, with this first item.
    fn begin(self: &Arc<Self>, first: &Context) -> Batch<J> {
        let members = Arc::new(Members {
            items: Mutex::default(),
            deadline: first.deadline(),
            is_full: AtomicBool::new(false),
            is_short_of_time: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            over: Event::new(),
        });
        let (host, queue) = (Arc::clone(&first.0.host), Arc::clone(&first.queue));
        let work = Arc::clone(self).work(host, queue, Arc::clone(&members));
        let work: Work = Box::pin(InAttempt::outside(work));
        Batch { members, work: Arc::new(AsyncMutex::new(Some(work))) }
    }

    async fn work(self: Arc<Self>, host: Arc<dyn RunEnvironment>, queue: Arc<str>, members: Arc<Members<J>>) {
        self.linger(&*host, &self.arrivals.of(&queue), &members).await;
        let items = self.close(&queue, &members);
        if let Some(context) = BatchContext::new(items.iter().map(|item| item.context.clone())) {
            let seats: Vec<Arc<Seat>> = items.iter().map(|item| Arc::clone(&item.seat)).collect();
            let span = context.span().clone();
            // The call itself is inside, because it may panic before it returns its future.
            let handling = AssertUnwindSafe(async { self.handler.handle(context, items).await });
            let result = handling.catch_unwind().instrument(span).await;
            for seat in seats {
                seat.end(|| end_of_rest(&result));
            }
        }
        members.end();
    }

    /// Waits for more items: at most for the linger, and only as long as some can come. Without the time to linger, it waits
    /// for those that are already announced.
    async fn linger(&self, host: &dyn RunEnvironment, arrivals: &QueueArrivals, members: &Members<J>) {
        let mut linger = Some(host.linger(self.options.linger, members.deadline));
        loop {
            let changed = arrivals.listen();
            let has_time = linger.is_some() && !members.is_short_of_time.load(Ordering::Acquire);
            let can_come = arrivals.are_coming() || (has_time && host.free_slots() > 0);
            if !can_come || members.is_full.load(Ordering::Acquire) {
                return;
            }
            let Some(lingering) = &mut linger else {
                changed.await;
                continue;
            };
            match select(lingering, changed).await {
                Either::Left((true, _)) => return,
                Either::Left((false, _)) => linger = None,
                Either::Right(_) => {}
            }
        }
    }

    /// Closes a batch, and takes its items for the handler.
    fn close(&self, queue: &str, members: &Members<J>) -> Vec<Item<J>> {
        let mut open = self.open();
        let closed = if open.get(queue).is_some_and(|batch| batch.members.is(members)) {
            open.remove(queue)
        } else {
            None
        };
        let items = std::mem::take(&mut *members.items());
        drop(open);
        drop(closed);
        items
    }
}

/// The ending of the items that the handler has not settled.
fn end_of_rest(result: &Result<BatchResult, Panic>) -> ItemEnd {
    match result {
        Ok(Ok(Rest::Done)) => ItemEnd::Returned(Ok(())),
        Ok(Ok(Rest::Retry)) => {
            ItemEnd::Returned(Err(Failure::retry("the batch handler has not settled this item")))
        }
        Ok(Err(failure)) => ItemEnd::Returned(Err(failure.clone())),
        Err(panic) => ItemEnd::Panicked(panic_message(panic.as_ref())),
    }
}

/// The place of an item in its batch. If it is dropped with the item's run before the batch has started, the item leaves the
/// batch.
struct Place<J: Send + 'static, H: BatchHandler<J>> {
    collector: Arc<Collector<J, H>>,
    queue: Arc<str>,
    batch: Batch<J>,
    seat: Arc<Seat>,
}

impl<J: Send + 'static, H: BatchHandler<J>> Place<J, H> {
    /// Leaves the batch. Returns false if it has started, or if the item has left before.
    fn leave(&self) -> bool {
        let mut open = self.collector.open();
        let mut items = self.batch.members.items();
        let Some(place) = items.iter().position(|item| Arc::ptr_eq(&item.seat, &self.seat)) else {
            return false;
        };
        let left = items.remove(place);
        let is_open = open.get(&self.queue).is_some_and(|batch| batch.members.is(&self.batch.members));
        let emptied = if items.is_empty() && is_open { open.remove(&self.queue) } else { None };
        drop((items, open));
        drop((left, emptied));
        true
    }
}

impl<J: Send + 'static, H: BatchHandler<J>> Drop for Place<J, H> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
#[path = "collector_tests.rs"]
mod tests;
