//! A consumer in the test's process.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use drumline::Router;
use drumline::core::{Claims, Ledger, LimitRules, Limits, Policy};
use drumline::message::Intake;
use drumline::run::{NoopObserver, Observer};
use drumline_consumer::Metrics;
use drumline_runtime::aws::is_fifo;
use drumline_runtime::payload::Payloads;
use drumline_runtime::{ClaimStoreClient, Driver, DriverConfig, Grace, StoreOutage, StoreSettings};
use drumline_store::{Location, Retention};
use drumline_tests::ModelQueue;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running consumer.
pub(crate) struct Consumer {
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<drumline::core::DrainSummary>,
    pub(crate) metrics: Metrics,
    alive: Arc<AtomicBool>,
}

impl Consumer {
    /// Starts a consumer on `model`, with the model's lease.
    pub(crate) fn start(model: &ModelQueue, router: Router, change: impl FnOnce(&mut Policy)) -> Self {
        Self::watched(model, router, change, Arc::new(NoopObserver))
    }

    /// Does the same as [`start`](Self::start), with an observer besides the metrics.
    pub(crate) fn watched(
        model: &ModelQueue,
        router: Router,
        change: impl FnOnce(&mut Policy),
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self::of_service(model, router, change, observer, in_memory(), Intake::new("arn:test"))
    }

    /// Does the same as [`start`](Self::start), with these limits of the process.
    pub(crate) fn limited(
        model: &ModelQueue,
        router: Router,
        change: impl FnOnce(&mut Policy),
        limits: Limits,
    ) -> Self {
        let intake = Intake::new("arn:test");
        Self::with_limits(model, router, change, Arc::new(NoopObserver), in_memory(), intake, Some(limits))
    }

    /// Does the same as [`watched`](Self::watched), with a claim store that several queues and processes can share.
    pub(crate) fn of_service(
        model: &ModelQueue,
        router: Router,
        change: impl FnOnce(&mut Policy),
        observer: Arc<dyn Observer>,
        claim_store: ClaimStoreClient,
        intake: Intake,
    ) -> Self {
        let limits = Limits::new(LimitRules::none(NonZeroUsize::MIN));
        Self::with_limits(model, router, change, observer, claim_store, intake, Some(limits))
    }

    /// Does the same as [`of_service`](Self::of_service), with limits of the process, which are among the metrics.
    pub(crate) fn with_limits(
        model: &ModelQueue,
        router: Router,
        change: impl FnOnce(&mut Policy),
        observer: Arc<dyn Observer>,
        claim_store: ClaimStoreClient,
        intake: Intake,
        limits: Option<Limits>,
    ) -> Self {
        let mut policy = Policy::new(model.visibility);
        let name = model.queue_url.rsplit('/').next().unwrap();
        policy.fifo = is_fifo(name);
        policy.claims = Claims::Required;
        policy.retry = policy.retry.with_jitter(drumline::core::JitterMode::None);
        change(&mut policy);
        let metrics = Metrics::new();
        if let Some(limits) = &limits {
            metrics.limits(limits);
        }
        let (queue, alive) = model.for_a_process();
        let mut driver = Driver::new(DriverConfig {
            name: Arc::from(name),
            intake: Arc::new(intake),
            ledger: Ledger::new(policy).unwrap(),
            queue: Arc::new(queue),
            router: Arc::new(router),
            observer: Arc::new(vec![metrics.queue(name), observer]),
            status: Arc::default(),
            claim_store: Some(claim_store),
            payloads: Payloads::default(),
            next_jobs: Some(model.next_jobs()),
            limits,
            handlers: Handle::current(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            drop(stopped.await);
            Grace::of(Duration::from_secs(25))
        };
        let running = tokio::spawn(async move { driver.run(shutdown).await.summary });
        Self { stop: Some(stop), running, metrics, alive }
    }

    /// Starts a stop, like SIGTERM.
    pub(crate) fn begin_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Stops the consumer and returns the result of the drain.
    pub(crate) async fn stop(mut self) -> drumline::core::DrainSummary {
        self.begin_stop();
        self.running.await.unwrap()
    }

    /// Kills the consumer, like SIGKILL: it releases and reports nothing.
    pub(crate) fn kill(self) {
        self.alive.store(false, Ordering::SeqCst);
        self.running.abort();
    }
}

/// Returns the claim store client of one process, with a store in its memory.
pub(crate) fn in_memory() -> ClaimStoreClient {
    let settings =
        StoreSettings { location: Location::Memory, outage: StoreOutage::Retry, keep: Retention::default() };
    ClaimStoreClient::open_lazily(&settings, Arc::new(NoopObserver), Handle::current())
}
