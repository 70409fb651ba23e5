//! The store as a host uses it: what is asked of it for each run, what is written beside the runs, and what happens while
//! it does not answer.
//!
//! Claims are kept closed then, by the ledger's decision: a job waits a little where it is, and is tried again later; a done one
//! waits for its mark; every queue is paused until the store answers again, unless jobs may run without claims. What only people read (progress, checkpoints, failed attempts) is kept open: it is
//! logged and counted, and the jobs go on. See ADR 0008.

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

/// Where claims and histories are kept, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// Which store.
    pub location: Location,
    /// What happens to jobs while it does not answer.
    pub outage: StoreOutage,
    /// For how long things are kept.
    pub keep: Retention,
}

impl StoreSettings {
    /// What makes a message a suspect: a store that outlives the process knows whose runs never ended.
    pub fn crash_evidence(&self) -> CrashEvidence {
        if self.location.outlives_its_process() { CrashEvidence::Store } else { CrashEvidence::Receives }
    }
}

/// What happens to jobs while the store does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StoreOutage {
    /// They are tried again later: no effect happens twice.
    #[default]
    Retry,
    /// They run without a claim: an effect may happen twice.
    Run,
}

impl StoreOutage {
    /// The policy of the claims that a host keeps.
    pub fn claims(self) -> Claims {
        match self {
            Self::Retry => Claims::Required,
            Self::Run => Claims::BestEffort,
        }
    }
}

/// A store, and all that is done with it. Cheap to clone.
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
    /// Opens the store, which has to answer. What is written beside the runs is written on `runtime`; `observer` receives
    /// the process's [`StoreRequest`](drumline::run::Event::StoreRequest)s.
    pub async fn open(
        settings: &StoreSettings,
        observer: Arc<dyn Observer>,
        runtime: Handle,
    ) -> Result<Self, OpenError> {
        let worker = worker_name();
        let store = open(&settings.location, Arc::clone(&worker), settings.keep).await?;
        Ok(Self::new(store, worker, observer, runtime))
    }

    /// As [`open`](Self::open), but with the first question: a Lambda function starts whether the store answers or not.
    pub fn open_lazily(settings: &StoreSettings, observer: Arc<dyn Observer>, runtime: Handle) -> Self {
        let worker = worker_name();
        let store = LazyStore::new(settings.location.clone(), Arc::clone(&worker), settings.keep);
        Self::new(Arc::new(store), worker, observer, runtime)
    }

    /// Uses a store that is open already. `worker` is the name that its claims belong to.
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

    /// The store itself.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// Whether the store answers, now and from now on.
    pub fn answers(&self) -> watch::Receiver<bool> {
        self.0.health.watch()
    }

    /// Waits until what was to be written beside the runs is written, at most this long.
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

    /// What this process is called in what it writes.
    pub fn worker(&self) -> &Arc<str> {
        &self.0.worker
    }
}

impl Inner {
    /// Counts an answer, and notes if there was one. A refusal of a single item is an answer.
    fn record<T>(&self, operation: StoreOperation, answer: &Result<T, StoreError>) {
        record(&self.health, &*self.observer, operation, answer);
    }
}

/// A name that no other process has: people find the machine by it, and claims belong to it.
fn worker_name() -> Arc<str> {
    let node = rustix::system::uname();
    let node = node.nodename().to_string_lossy().into_owned();
    let node = variable("AWS_LAMBDA_FUNCTION_NAME").unwrap_or(node);
    Arc::from(format!("{node}-{}-{:08x}", std::process::id(), fastrand::u32(..)))
}

#[cfg(test)]
#[path = "claims/tests.rs"]
mod tests;
