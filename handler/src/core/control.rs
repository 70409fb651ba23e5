//! Stops a run, and reports to the host that it has stopped.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use event_listener::Event;

use crate::core::claim::ClaimStep;

/// The time that a cancelled handler has to return before it is dropped.
pub(crate) const STOP_TIME: Duration = Duration::from_secs(1);

/// The reason of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelReason {
    /// The attempt's time is over.
    TimedOut,
    /// The process is shutting down and its grace is over.
    Shutdown,
    /// Another worker may have the message or the claim by now: any further work may be done twice.
    LeaseLost,
    /// An operator has cancelled the job: it fails permanently.
    Operator,
}

/// The host's handle on one run: it asks the run to stop, and then drops it.
///
/// Cloning returns another handle on the same run.
#[derive(Debug, Clone, Default)]
pub struct RunControl(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// 0, or a [`CancelReason`] plus one; [`ABORTED`] is added when the run must be dropped.
    stage: AtomicU8,
    /// Pieces of blocking work that cannot be dropped with their future.
    blocking: AtomicUsize,
    /// The step for which the run waits, until it takes it.
    claim_step: Mutex<Option<ClaimStep>>,
    changed: Event,
}

const ABORTED: u8 = 0x80;

impl RunControl {
    /// Makes the control of a run that continues.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the handler to stop. The first reason counts.
    pub fn cancel(&self, reason: CancelReason) {
        let code = match reason {
            CancelReason::TimedOut => 1,
            CancelReason::Shutdown => 2,
            CancelReason::LeaseLost => 3,
            CancelReason::Operator => 4,
        };
        let first = self.0.stage.compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            self.0.changed.notify(usize::MAX);
        }
    }

    /// Drops the handler at its next await point. Blocking work runs to its end, because no thread can be stopped.
    pub fn abort(&self) {
        self.0.stage.fetch_or(ABORTED, Ordering::AcqRel);
        self.0.changed.notify(usize::MAX);
    }

    /// Returns true if there are other handles on the run: it has not ended, or has passed its context on.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Returns the reason why the run must stop; `None` while it may continue.
    pub fn cancelled(&self) -> Option<CancelReason> {
        match self.0.stage.load(Ordering::Acquire) & !ABORTED {
            1 => Some(CancelReason::TimedOut),
            2 => Some(CancelReason::Shutdown),
            3 => Some(CancelReason::LeaseLost),
            4 => Some(CancelReason::Operator),
            _ => None,
        }
    }

    /// Passes the ledger's decision to a run that waits for its claim: [`Effect::Claim`](crate::core::Effect::Claim).
    pub fn claim_step(&self, step: ClaimStep) {
        *self.0.claim_step.lock().unwrap_or_else(PoisonError::into_inner) = Some(step);
        self.0.changed.notify(usize::MAX);
    }

    /// Waits for the next step of a run that waits for its claim, and takes it.
    pub(crate) async fn until_claim_step(&self) -> ClaimStep {
        let take = |c: &Self| c.0.claim_step.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.until(take).await
    }

    /// Waits until the run must stop. Cancel-safe.
    pub async fn until_cancelled(&self) -> CancelReason {
        self.until(Self::cancelled).await
    }

    /// Waits until the run must stop or is dropped, whichever happens first.
    pub(crate) async fn until_stopped(&self) {
        self.until(|c| (c.0.stage.load(Ordering::Acquire) != 0).then_some(())).await;
    }

    /// Waits until the run is aborted.
    pub async fn until_aborted(&self) {
        self.until(|c| (c.0.stage.load(Ordering::Acquire) & ABORTED != 0).then_some(())).await;
    }

    /// Waits for the blocking work that outlives its handler.
    pub(crate) async fn until_no_blocking(&self) {
        self.until(|c| (c.0.blocking.load(Ordering::Acquire) == 0).then_some(())).await;
    }

    async fn until<T>(&self, reached: impl Fn(&Self) -> Option<T>) -> T {
        loop {
            if let Some(value) = reached(self) {
                return value;
            }
            let listener = self.0.changed.listen();
            // Checked again after listening, because the change may have happened in between.
            if let Some(value) = reached(self) {
                return value;
            }
            listener.await;
        }
    }

    pub(crate) fn begin_blocking(&self) -> BlockingWork {
        self.0.blocking.fetch_add(1, Ordering::AcqRel);
        BlockingWork(self.clone())
    }
}

/// Held by blocking work as long as it runs, or waits to run.
pub(crate) struct BlockingWork(RunControl);

impl Drop for BlockingWork {
    fn drop(&mut self) {
        if self.0.0.blocking.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.0.changed.notify(usize::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn the_first_reason_stands() {
        let control = RunControl::new();
        assert!(control.until_cancelled().now_or_never().is_none());
        control.cancel(CancelReason::LeaseLost);
        control.cancel(CancelReason::Shutdown);
        assert_eq!(control.until_cancelled().now_or_never(), Some(CancelReason::LeaseLost));
        assert!(control.until_aborted().now_or_never().is_none());
        control.abort();
        assert!(control.until_aborted().now_or_never().is_some());
        assert_eq!(control.cancelled(), Some(CancelReason::LeaseLost));
    }

    #[test]
    fn blocking_work_is_waited_for() {
        let control = RunControl::new();
        let work = control.begin_blocking();
        let mut wait = Box::pin(control.until_no_blocking());
        assert!(wait.as_mut().now_or_never().is_none());
        drop(work);
        assert!(wait.now_or_never().is_some());
    }
}
