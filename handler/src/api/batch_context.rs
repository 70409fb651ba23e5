//! The context of a batch: what its items have in common.

use std::any::Any;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Instant;

use futures_channel::oneshot;
use tracing::{Span, info_span};

use crate::api::context::Context;
use crate::api::failure::Failure;
use crate::core::control::BlockingWork;

/// A batch as its handler sees it. Cheap to clone. The data of one job are in the [`Item`](super::batch::Item)'s own context.
///
/// [`Context::current`] is `None` in a batch handler, because the batch belongs to several attempts.
#[derive(Clone)]
pub struct BatchContext(Arc<Inner>);

struct Inner {
    /// Of the items, of which there is at least one.
    first: Context,
    others: Vec<Context>,
    span: Span,
}

impl BatchContext {
    /// The context of a batch of these attempts; `None` without any.
    pub(crate) fn new(mut contexts: impl Iterator<Item = Context>) -> Option<Self> {
        let first = contexts.next()?;
        let others: Vec<Context> = contexts.collect();
        let span = info_span!(
            parent: None,
            "batch",
            queue = &*first.queue,
            "type" = &*first.job_type,
            items = others.len() + 1,
        );
        Some(Self(Arc::new(Inner { first, others, span })))
    }

    fn contexts(&self) -> impl Iterator<Item = &Context> {
        std::iter::once(&self.0.first).chain(&self.0.others)
    }

    /// The name of the queue, which a queue of another region or account may share.
    pub fn queue(&self) -> &str {
        self.0.first.queue()
    }

    /// The type of the jobs, such as `row.insert`.
    pub fn job_type(&self) -> &str {
        self.0.first.job_type()
    }

    /// The earliest deadline of its items.
    pub fn deadline(&self) -> Instant {
        self.contexts().map(|context| context.deadline()).min().unwrap_or(self.0.first.deadline())
    }

    /// Returns true if every item must stop, for example in a shutdown: further work of the handler is of no use. Items stop
    /// one by one, see their own contexts.
    pub fn is_cancelled(&self) -> bool {
        self.contexts().all(Context::is_cancelled)
    }

    /// Waits until every item must stop. Cancel-safe.
    pub async fn cancelled(&self) {
        for context in self.contexts() {
            context.0.control.until_stopped().await;
        }
    }

    /// Returns the host's extension, as [`Context::extension`] does.
    pub fn extension<T: Any>(&self) -> Option<&T> {
        self.0.first.extension()
    }

    /// The span of the batch; its handler already runs inside it. The spans of its items are in their contexts.
    pub fn span(&self) -> &Span {
        &self.0.span
    }

    /// Runs CPU-bound or blocking work on a thread for such work, like [`Context::blocking`]: the worker keeps the messages of
    /// all items until the work has ended.
    ///
    /// ```
    /// # use drumline::batch::{BatchContext, BatchResult, Item, Rest};
    /// # struct Row { name: String }
    /// # fn insert(names: Vec<String>) -> std::io::Result<()> { Ok(()) }
    /// async fn insert_all(ctx: BatchContext, items: Vec<Item<Row>>) -> BatchResult {
    ///     let names = items.iter().map(|item| item.job.name.clone()).collect();
    ///     ctx.blocking(move || Ok(insert(names)?)).await?;
    ///     Ok(Rest::Done)
    /// }
    /// ```
    pub async fn blocking<T, F>(&self, work: F) -> Result<T, Failure>
    where
        F: FnOnce() -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let running: Vec<BlockingWork> =
            self.contexts().map(|context| context.0.control.begin_blocking()).collect();
        let span = self.0.span.clone();
        self.0.first.0.host.spawn_blocking(Box::new(move || {
            let result = span.in_scope(|| panic::catch_unwind(AssertUnwindSafe(work)));
            // If the handler was dropped, the result is not needed.
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

impl fmt::Debug for BatchContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = self.contexts().count();
        f.debug_struct("BatchContext").field("job_type", &self.job_type()).field("items", &items).finish()
    }
}
