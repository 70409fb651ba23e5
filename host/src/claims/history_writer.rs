//! Writes data for people and for the next attempt: progress, checkpoints, failed attempts. A job never waits for it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drumline::core::{Claim, StoreOperation};
use drumline::message::Identity;
use drumline::run::{AttemptInfo, Observer, Progress};
use drumline_store::{AttemptRecord, ProgressRecord, Store, StoreError};
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::answers::record;
use super::health::Health;
use crate::clock::now_ms;

/// The interval at which progress and checkpoints are written: a killed process loses at most this much of its work, and people
/// can follow it.
const INTERVAL: Duration = Duration::from_secs(1);

/// The maximum number of concurrent writes, in addition to claims. Further ones, in an outage, are dropped and logged.
const MAX_WRITES: u32 = 256;

#[derive(Clone)]
pub(crate) struct HistoryWriter(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    health: Arc<Health>,
    observer: Arc<dyn Observer>,
    runtime: Handle,
    /// By identity; one entry for each running job with a report.
    pending: Mutex<HashMap<Arc<Identity>, Pending>>,
    writes: Arc<Semaphore>,
}

/// The reports of a run since its last write.
#[derive(Default)]
struct Pending {
    progress: Option<ProgressRecord>,
    checkpoint: Option<(Arc<Claim>, Box<RawValue>)>,
    /// True if an earlier report was written: the shown progress must not stop before the end.
    is_shown: bool,
    /// True if a write is scheduled.
    is_scheduled: bool,
}

impl HistoryWriter {
    pub(super) fn new(
        store: Arc<dyn Store>,
        health: Arc<Health>,
        observer: Arc<dyn Observer>,
        runtime: Handle,
    ) -> Self {
        let writes = Arc::new(Semaphore::new(MAX_WRITES as usize));
        Self(Arc::new(Inner { store, health, observer, runtime, pending: Mutex::default(), writes }))
    }

    pub(crate) fn progress(&self, attempt: &AttemptInfo, progress: &Progress) {
        let record = ProgressRecord {
            at_ms: now_ms(),
            done: progress.done,
            total: progress.total,
            unit: progress.unit.clone().into_owned(),
        };
        self.update(attempt.identity(), |pending| pending.progress = Some(record));
    }

    pub(crate) fn checkpoint(&self, attempt: &AttemptInfo, value: Box<RawValue>) {
        // A run without a claim could overwrite the reports of another one.
        if let Some(claim) = attempt.claim() {
            let claim = Arc::clone(claim);
            self.update(attempt.identity(), |pending| pending.checkpoint = Some((claim, value)));
        }
    }

    fn update(&self, identity: &Arc<Identity>, change: impl FnOnce(&mut Pending)) {
        let mut all = self.pending();
        let pending = match all.get_mut(identity) {
            Some(pending) => pending,
            None => all.entry(Arc::clone(identity)).or_default(),
        };
        change(pending);
        if std::mem::replace(&mut pending.is_scheduled, true) {
            return;
        }
        drop(all);
        let (history_writer, identity) = (self.clone(), Arc::clone(identity));
        self.0.runtime.spawn(async move {
            sleep(INTERVAL).await;
            let writer = history_writer.clone();
            history_writer.spawn("progress", async move { writer.write_now(&identity).await });
        });
    }

    /// Records that a run has succeeded: its last report is written only if an earlier one was written.
    pub(crate) fn done(&self, identity: &Arc<Identity>) {
        let mut all = self.pending();
        // Most jobs report no progress, and a look-up takes time.
        let Some(pending) = (!all.is_empty()).then(|| all.remove(identity)).flatten() else { return };
        drop(all);
        if let Some(progress) = pending.progress.filter(|_| pending.is_shown) {
            let (history_writer, identity) = (self.clone(), Arc::clone(identity));
            self.spawn("progress", async move { history_writer.write_progress(&identity, &progress).await });
        }
    }

    /// Writes the reports of a run.
    pub(crate) async fn write_now(&self, identity: &Identity) {
        let (progress, checkpoint) = {
            let mut all = self.pending();
            let Some(pending) = all.get_mut(identity) else { return };
            pending.is_scheduled = false;
            pending.is_shown = true;
            (pending.progress.take(), pending.checkpoint.take())
        };
        if let Some((claim, value)) = checkpoint {
            let answer = self.0.store.checkpoint(&claim, &value).await;
            self.record(StoreOperation::Checkpoint, &answer);
        }
        if let Some(progress) = progress {
            self.write_progress(identity, &progress).await;
        }
    }

    /// Records that a run has ended without success, and that all its reports are written.
    pub(crate) fn forget(&self, identity: &Identity) {
        self.pending().remove(identity);
    }

    async fn write_progress(&self, identity: &Identity, progress: &ProgressRecord) {
        let answer = self.0.store.progress(identity, progress).await;
        self.record(StoreOperation::Progress, &answer);
    }

    /// Adds a failed attempt to a job's history.
    pub(crate) fn attempted(&self, identity: Arc<Identity>, attempt: AttemptRecord) {
        let history_writer = self.clone();
        self.spawn("a failed attempt", async move {
            let answer = history_writer.0.store.attempted(&identity, &attempt).await;
            history_writer.record(StoreOperation::Attempted, &answer);
        });
    }

    fn spawn(&self, what: &str, write: impl Future<Output = ()> + Send + 'static) {
        let Ok(turn) = Arc::clone(&self.0.writes).try_acquire_owned() else {
            warn!("{what} is not written down: the store is too slow");
            return;
        };
        self.0.runtime.spawn(async move {
            write.await;
            drop(turn);
        });
    }

    /// Waits for all pending writes.
    pub(super) async fn settle(&self, at_most: Duration) {
        if timeout(at_most, self.0.writes.acquire_many(MAX_WRITES)).await.is_err() {
            warn!("not everything was written down in time: the store is too slow");
        }
    }

    fn record<T>(&self, operation: StoreOperation, answer: &Result<T, StoreError>) {
        if let Err(error) = answer {
            warn!(operation = operation.label(), %error, "not written down");
        }
        record(&self.0.health, &*self.0.observer, operation, answer);
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<Arc<Identity>, Pending>> {
        self.0.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
