//! Where handlers run, and what is lent to them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use std::any::Any;

use drumline::{Admission, Answer, ClaimRequest, Claimed, Context, DeliveryId, Ending, Host, Progress};
use serde_json::value::RawValue;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::books::Books;
use crate::drive::Event;
use crate::listener::Listener;
use crate::metrics::QueueMetrics;

/// One runtime on one thread for SQS and the ledgers, and one on threads of its own for handlers: a handler that blocks
/// its thread delays no renewal, and no response.
pub fn runtimes() -> std::io::Result<(Runtime, Runtime)> {
    let io = Builder::new_current_thread().enable_all().thread_name("drumline-sqs").build()?;
    let handlers = Builder::new_multi_thread().enable_all().thread_name("drumline-job").build()?;
    Ok((io, handlers))
}

/// Runs blocking work on tokio's blocking threads, counts, and keeps the books.
pub(crate) struct TokioHost {
    pub(crate) books: Option<Books>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) metrics: Arc<dyn QueueMetrics>,
    pub(crate) listener: Arc<dyn Listener>,
}

impl Host for TokioHost {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(work);
    }

    fn started(&self, context: &Context) {
        let pickup = context.message().sent_at.map(|sent_at| since_epoch().saturating_sub(sent_at));
        self.metrics.started(context.job_type(), pickup);
        self.listener.started(context);
    }

    fn ended(&self, context: &Context, ending: &Ending) {
        if let Some(books) = &self.books
            && *ending == Ending::Done
        {
            books.journal().done(context.identity());
        }
        self.metrics.ended(context.job_type());
        self.listener.ended(context, ending);
    }

    fn progress(&self, context: &Context, progress: &Progress) {
        if let Some(books) = &self.books {
            books.journal().progress(context, progress);
        }
        self.listener.progress(context, progress);
    }

    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> Answer<'a, Result<Admission, String>> {
        match &self.books {
            Some(books) => books.claim(request),
            None => Answer::now(Ok(Admission::Unclaimed)),
        }
    }

    fn claimed(&self, delivery: DeliveryId, answer: Claimed) -> Answer<'_, ()> {
        match self.events.try_send(Event::Claimed(delivery, answer)) {
            // The loop only goes away when the queue is drained.
            Ok(()) | Err(TrySendError::Closed(_)) => Answer::now(()),
            Err(TrySendError::Full(event)) => {
                Answer::later(async move { drop(self.events.send(event).await) })
            }
        }
    }

    fn checkpoint(&self, context: &Context, value: Box<RawValue>) {
        if let Some(books) = &self.books {
            books.journal().checkpoint(context, value);
        }
    }

    fn extension(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.books.as_ref().map(|books| books.store().as_any())
    }
}

/// The wall clock. A clock before 1970 reads as 1970.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
