//! Messages that run at the same time, such as those of one batch.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

use super::test_message::TestMessage;
use super::test_run::TestRun;

type Running = Pin<Box<dyn Future<Output = TestRun> + Send>>;

/// The runs of several messages at the same time, see [`Tester::together`](super::Tester::together). Awaiting it returns the
/// results, in the order of the messages.
#[must_use = "messages run when they are awaited"]
pub struct Together {
    /// The finished runs, and those in progress.
    runs: Vec<Result<TestRun, Running>>,
    wakes: Arc<Wakes>,
}

impl Together {
    pub(super) fn new(messages: impl IntoIterator<Item = TestMessage>) -> Self {
        // All of them before the first one runs.
        let announced: Vec<TestMessage> = messages.into_iter().map(TestMessage::announced).collect();
        let runs = announced.into_iter().map(|message| Err(message.into_future())).collect();
        Self { runs, wakes: Arc::default() }
    }
}

/// Polls the runs again as long as they wake each other, so that without a clock no waiting is left.
impl Future for Together {
    type Output = Vec<TestRun>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<TestRun>> {
        let Self { runs, wakes } = self.get_mut();
        wakes.outer.register(cx.waker());
        let waker = Waker::from(Arc::clone(wakes));
        let mut inner = Context::from_waker(&waker);
        loop {
            wakes.again.store(false, Ordering::Release);
            for run in &mut *runs {
                if let Err(running) = run
                    && let Poll::Ready(ended) = running.as_mut().poll(&mut inner)
                {
                    *run = Ok(ended);
                }
            }
            if runs.iter().all(Result::is_ok) {
                return Poll::Ready(std::mem::take(runs).into_iter().flatten().collect());
            }
            if !wakes.again.load(Ordering::Acquire) {
                return Poll::Pending;
            }
        }
    }
}

#[derive(Default)]
struct Wakes {
    again: AtomicBool,
    outer: AtomicWaker,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.again.store(true, Ordering::Release);
        self.outer.wake();
    }
}
