//! The store as used by a host: its requests for each run, its writes of histories, and its behaviour while the store does not
//! answer.
//!
//! Claims then block jobs, by the ledger's decision: a job waits a little in hand, and is retried later; a done job waits for
//! its mark; every queue is paused until the store answers again, unless jobs may run without claims. Data for people
//! (progress, checkpoints, failed attempts) never blocks jobs: a failed write is logged and counted, and the jobs continue. See
//! ADR 0008.

mod answers;
mod claiming;
mod health;
mod history;
mod history_writer;
mod lazy;

use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Claims, CrashEvidence, StoreOperation};
use drumline::run::Observer;
use drumline_store::{Location, OpenError, Retention, Store, StoreError, open, variable};
use tokio::runtime::Handle;
use tokio::sync::watch;

use answers::record;
use health::Health;
use history::HistoryObserver;
use history_writer::HistoryWriter;
use lazy::LazyStore;

/// The location and the options of claims and histories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// The store's location.
    pub location: Location,
    /// The behaviour of jobs while it does not answer.
    pub outage: StoreOutage,
    /// The times for which records are kept.
    pub keep: Retention,
}

impl StoreSettings {
    /// Returns the evidence of a crash: a store that outlives the process knows whose runs never ended.
    pub fn crash_evidence(&self) -> CrashEvidence {
        if self.location.outlives_its_process() { CrashEvidence::Store } else { CrashEvidence::Receives }
    }
}

/// The behaviour of jobs while the store does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StoreOutage {
    /// Jobs are retried later: no effect happens twice.
    #[default]
    Retry,
    /// Jobs run without a claim: an effect may happen twice.
    Run,
}

impl StoreOutage {
    /// Returns the policy for a host's claims.
    pub fn claims(self) -> Claims {
        match self {
            Self::Retry => Claims::Required,
            Self::Run => Claims::BestEffort,
        }
    }
}

/// A store with all operations on it. Cheap to clone.
#[derive(Clone)]
pub struct ClaimStoreClient(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    worker: Arc<str>,
    health: Arc<Health>,
    history_writer: HistoryWriter,
    observer: Arc<dyn Observer>,
}

impl ClaimStoreClient {
    /// Opens the store, which must answer. Histories are written on `runtime`; `observer` receives the process's
    /// [`StoreRequest`](drumline::run::Event::StoreRequest)s.
    pub async fn open(
        settings: &StoreSettings,
        observer: Arc<dyn Observer>,
        runtime: Handle,
    ) -> Result<Self, OpenError> {
        let worker = worker_name();
        let store = open(&settings.location, Arc::clone(&worker), settings.keep).await?;
        Ok(Self::new(store, worker, observer, runtime))
    }

    /// Does the same as [`open`](Self::open), but only with the first request: a Lambda function starts even if the store does
    /// not answer.
    pub fn open_lazily(settings: &StoreSettings, observer: Arc<dyn Observer>, runtime: Handle) -> Self {
        let worker = worker_name();
        let store = LazyStore::new(settings.location.clone(), Arc::clone(&worker), settings.keep);
        Self::new(Arc::new(store), worker, observer, runtime)
    }

    /// Uses a store that is already open. `worker` is the owner's name in its claims.
    pub fn new(
        store: Arc<dyn Store>,
        worker: Arc<str>,
        observer: Arc<dyn Observer>,
        runtime: Handle,
    ) -> Self {
        let health = Health::new(Arc::downgrade(&store), runtime.clone());
        let history_writer =
            HistoryWriter::new(Arc::clone(&store), Arc::clone(&health), Arc::clone(&observer), runtime);
        Self(Arc::new(Inner { store, worker, health, history_writer, observer }))
    }

    /// Returns the store itself.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// Returns a receiver that is true while the store answers.
    pub fn answers(&self) -> watch::Receiver<bool> {
        self.0.health.watch()
    }

    /// Waits until pending histories are written, at most this long.
    pub async fn settle(&self, at_most: Duration) {
        self.0.history_writer.settle(at_most).await;
    }

    pub(crate) fn history_writer(&self) -> &HistoryWriter {
        &self.0.history_writer
    }

    /// Returns the observer that writes the histories of jobs to the store.
    pub(crate) fn history_observer(&self) -> HistoryObserver {
        HistoryObserver::new(self.0.history_writer.clone(), Arc::clone(&self.0.worker))
    }

    /// Returns the name of this process in its records.
    pub fn worker(&self) -> &Arc<str> {
        &self.0.worker
    }
}

impl Inner {
    /// Counts an answer, and records whether there was one. A refusal of a single item is an answer.
    fn record<T>(&self, operation: StoreOperation, answer: &Result<T, StoreError>) {
        record(&self.health, &*self.observer, operation, answer);
    }
}

/// Returns a name that no other process has: claims belong to it, and people find the machine with it.
fn worker_name() -> Arc<str> {
    let node = rustix::system::uname();
    let node = node.nodename().to_string_lossy().into_owned();
    let node = variable("AWS_LAMBDA_FUNCTION_NAME").unwrap_or(node);
    Arc::from(format!("{node}-{}-{:08x}", std::process::id(), fastrand::u32(..)))
}

#[cfg(test)]
#[path = "claims/tests.rs"]
mod tests;
