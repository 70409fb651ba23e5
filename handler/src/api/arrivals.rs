//! The runs that may still join a batch: they have started, but their handlers have not.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};

use event_listener::{Event, EventListener};
use foldhash::fast::RandomState;
use pin_project_lite::pin_project;

type ByQueue = HashMap<Arc<str>, Arc<QueueArrivals>, RandomState>;

/// The arrivals at the batch handlers of a router.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arrivals(Arc<Mutex<ByQueue>>);

impl Arrivals {
    /// Returns the arrivals of a queue.
    pub(crate) fn of(&self, queue: &Arc<str>) -> Arc<QueueArrivals> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(queues.entry(Arc::clone(queue)).or_default())
    }

    /// Announces a run of this queue.
    pub(crate) fn announce(&self, queue: &Arc<str>) -> Arrival {
        let arrivals = self.of(queue);
        arrivals.coming.fetch_add(1, Ordering::AcqRel);
        Arrival(arrivals)
    }
}

/// The arrivals of one queue.
#[derive(Debug, Default)]
pub(crate) struct QueueArrivals {
    coming: AtomicUsize,
    changed: Event,
}

impl QueueArrivals {
    /// Returns true if a run may still reach its handler.
    pub(crate) fn are_coming(&self) -> bool {
        self.coming.load(Ordering::Acquire) > 0
    }

    /// Returns a listener to the next [`wake`](Self::wake), or to the last arrival.
    pub(crate) fn listen(&self) -> EventListener {
        self.changed.listen()
    }

    /// Has the open batches of the queue check again.
    pub(crate) fn wake(&self) {
        self.changed.notify(usize::MAX);
    }
}

/// A run on its way to its handler, for which the open batches of its queue wait, at most for their linger.
pub struct Arrival(Arc<QueueArrivals>);

impl Drop for Arrival {
    fn drop(&mut self) {
        if self.0.coming.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.wake();
        }
    }
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival").finish_non_exhaustive()
    }
}

pin_project! {
    /// A handler's future. Its run has arrived when the future is first polled.
    pub(crate) struct Arriving<F> {
        arrival: Option<Arrival>,
        #[pin]
        future: F,
    }
}

impl<F> Arriving<F> {
    pub(crate) fn new(arrival: Option<Arrival>, future: F) -> Self {
        Self { arrival, future }
    }
}

impl<F: Future> Future for Arriving<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let polled = this.future.poll(cx);
        // By now it has joined its batch, if it has one.
        *this.arrival = None;
        polled
    }
}
