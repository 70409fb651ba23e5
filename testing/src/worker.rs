//! The worker on a local queue: the driver and the ledger of a host, in the test's process.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use drumline::Router;
use drumline::core::{DrainSummary, Ledger, LimitRules, Limits, Policy};
use drumline::message::Intake;
use drumline::run::Observer;
use drumline_runtime::payload::Payloads;
use drumline_runtime::{ClaimStoreClient, Driver, DriverConfig, Grace, Logs, NextJobRoute, QueueStatus};
use drumline_store::Store;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::embedded_queue::EmbeddedQueue;
use crate::recorder::Recorder;

/// The time limit for writes to the store after a drain, the same as in a consumer.
const LAST_WRITES: Duration = Duration::from_secs(1);

/// The parts of a worker, for the first one and for each replacement.
pub(crate) struct WorkerParts {
    pub(crate) name: Arc<str>,
    pub(crate) router: Arc<Router>,
    pub(crate) policy: Policy,
    pub(crate) intake: Arc<Intake>,
    pub(crate) grace: Duration,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) next_jobs: NextJobRoute,
    /// Returns the queue for a worker that is not killed.
    pub(crate) queue: Box<dyn Fn(watch::Receiver<bool>) -> EmbeddedQueue + Send + Sync>,
}

/// A running worker. Dropping it kills it.
pub(crate) struct Worker {
    stop: Option<oneshot::Sender<()>>,
    kill: watch::Sender<bool>,
    running: JoinHandle<DrainSummary>,
    status: Arc<QueueStatus>,
    claim_store: ClaimStoreClient,
}

impl Worker {
    pub(crate) fn start(parts: &WorkerParts, number: u32) -> Self {
        parts.recorder.start_worker();
        let of_process: Arc<dyn Observer> = Arc::new(parts.observers.clone());
        let worker = format!("worker-{number}").into();
        let store = Arc::clone(&parts.store);
        let claim_store = ClaimStoreClient::new(store, worker, of_process, Handle::current());
        let logs: Arc<dyn Observer> = Arc::new(Logs::new(Some(&claim_store)));
        let recorder: Arc<dyn Observer> = Arc::clone(&parts.recorder) as _;
        let (kill, killed) = watch::channel(false);
        let status = Arc::new(QueueStatus::default());
        let mut driver = Driver::new(DriverConfig {
            name: Arc::clone(&parts.name),
            intake: Arc::clone(&parts.intake),
            ledger: Ledger::new(parts.policy.clone()).expect("the policy was checked at the start"),
            queue: Arc::new((parts.queue)(killed)),
            router: Arc::clone(&parts.router),
            observer: Arc::new([vec![logs], parts.observers.clone(), vec![recorder]].concat()),
            status: Arc::clone(&status),
            claim_store: Some(claim_store.clone()),
            payloads: Payloads::default(),
            next_jobs: Some(parts.next_jobs.clone()),
            // Handlers can close their job type (after a 429).
            limits: Some(Limits::new(LimitRules::none(NonZeroUsize::MIN))),
            handlers: Handle::current(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let grace = Grace::of(parts.grace);
        let shutdown = async move {
            drop(stopped.await);
            grace
        };
        let running = tokio::spawn(async move { driver.run(shutdown).await.summary });
        Self { stop: Some(stop), kill, running, status, claim_store }
    }

    pub(crate) fn status(&self) -> &QueueStatus {
        &self.status
    }

    /// Returns true while it runs: until it is stopped or panics.
    pub(crate) fn runs(&self) -> bool {
        !self.running.is_finished()
    }

    /// Waits until its writes outside runs are written.
    pub(crate) async fn settle(&self) {
        self.claim_store.settle(LAST_WRITES).await;
    }

    /// Stops it as SIGTERM does, and waits until its drain ends.
    pub(crate) async fn stop(mut self) -> DrainSummary {
        drop(self.stop.take());
        let ended = (&mut self.running).await;
        self.settle().await;
        self.end_requests().await;
        ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// Kills it as SIGKILL does, and waits until all its tasks have ended.
    pub(crate) async fn kill(mut self) {
        self.kill.send_replace(true);
        self.running.abort();
        // It is cancelled, or has ended already.
        drop((&mut self.running).await);
        self.end_requests().await;
    }

    /// Ends the requests that its loop left open: an open receive would deliver messages to a worker that is gone.
    async fn end_requests(&self) {
        self.kill.send_replace(true);
        self.kill.closed().await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill.send_replace(true);
        self.running.abort();
    }
}
