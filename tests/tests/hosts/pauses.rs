//! Nothing is received while the store is down, if jobs need the store.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::core::{
    Claim, ClaimRequest, ClaimResult, Claims, LedgerEvent, MaybeReady, Ownership, PauseReason, Policy,
    ReleaseClaim,
};
use drumline::message::{Identity, Intake};
use drumline::run::{Event, NoopObserver, Observer};
use drumline::{Context, Failure, Job, Router};
use drumline_runtime::{ClaimStoreClient, StoreOutage};
use drumline_store::{AttemptRecord, JobRecord, MemoryStore, ProgressRecord, Retention, Store, StoreError};
use drumline_tests::ModelQueue;
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::function::TestFunction;
use crate::running::Consumer;

const LEASE: Duration = Duration::from_secs(30);

/// A store in memory that can become unreachable.
struct Unreliable {
    store: MemoryStore,
    down: AtomicBool,
}

impl Unreliable {
    fn ask<'a, T: Send + 'a>(
        &'a self,
        question: impl FnOnce(&'a MemoryStore) -> MaybeReady<'a, Result<T, StoreError>>,
    ) -> MaybeReady<'a, Result<T, StoreError>> {
        if self.down.load(Ordering::SeqCst) {
            MaybeReady::now(Err(StoreError::Unanswered("no route".into())))
        } else {
            question(&self.store)
        }
    }
}

impl Store for Unreliable {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, StoreError>> {
        self.ask(|store| store.claim(request))
    }
    fn renew<'a>(
        &'a self,
        claim: &'a Claim,
        length: Duration,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.ask(|store| store.renew(claim, length))
    }
    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.ask(|store| store.finish(claim, result))
    }
    fn release_claim<'a>(
        &'a self,
        claim: &'a Claim,
        how: &'a ReleaseClaim,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.ask(|store| store.release_claim(claim, how))
    }
    fn checkpoint<'a>(
        &'a self,
        claim: &'a Claim,
        value: &'a RawValue,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.ask(|store| store.checkpoint(claim, value))
    }
    fn progress<'a>(
        &'a self,
        identity: &'a Identity,
        progress: &'a ProgressRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        self.ask(|store| store.progress(identity, progress))
    }
    fn attempted<'a>(
        &'a self,
        identity: &'a Identity,
        attempt: &'a AttemptRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        self.ask(|store| store.attempted(identity, attempt))
    }
    fn jobs<'a>(&'a self, job_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        self.ask(|store| store.jobs(job_id))
    }
    fn ping(&self) -> MaybeReady<'_, Result<(), StoreError>> {
        self.ask(Store::ping)
    }
    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

/// Records the pauses.
#[derive(Default)]
struct Pauses(Mutex<Vec<(PauseReason, bool)>>);

impl Observer for Pauses {
    fn observe(&self, event: &Event<'_>) {
        let Event::Ledger { note, .. } = *event else { return };
        match note {
            LedgerEvent::Paused(pause) => self.0.lock().unwrap().push((pause.reason, true)),
            LedgerEvent::Resumed { pause, .. } => self.0.lock().unwrap().push((pause.reason, false)),
            _ => {}
        }
    }
}

#[derive(serde::Deserialize)]
struct Work {}

impl Job for Work {
    const TYPE: &'static str = "work";
}

/// A queue, its handlers, and a store that can become unreachable.
struct Site {
    queue: ModelQueue,
    store: Arc<Unreliable>,
    claim_store: ClaimStoreClient,
    runs: Arc<AtomicUsize>,
    pauses: Arc<Pauses>,
    claims: Claims,
    /// The time that each handler takes.
    takes: Duration,
}

impl Site {
    fn new(outage: StoreOutage) -> Self {
        let store = MemoryStore::new("worker".into(), Retention::default());
        let store = Arc::new(Unreliable { store, down: AtomicBool::new(false) });
        let shared = Arc::clone(&store) as Arc<dyn Store>;
        let claim_store =
            ClaimStoreClient::new(shared, "worker".into(), Arc::new(NoopObserver), Handle::current());
        let queue = ModelQueue::new("jobs", LEASE, 5);
        Self {
            queue,
            store,
            claim_store,
            runs: Arc::default(),
            pauses: Arc::default(),
            claims: outage.claims(),
            takes: Duration::ZERO,
        }
    }

    fn router(&self) -> Router {
        let (runs, takes) = (Arc::clone(&self.runs), self.takes);
        Router::new().handle(move |_: Context, _: Work| {
            runs.fetch_add(1, Ordering::SeqCst);
            async move {
                sleep(takes).await;
                Ok::<(), Failure>(())
            }
        })
    }

    fn consumer(&self) -> Consumer {
        let (claim_store, observer) =
            (self.claim_store.clone(), Arc::clone(&self.pauses) as Arc<dyn Observer>);
        let change = |policy: &mut Policy| policy.claims = self.claims;
        Consumer::of_service(
            &self.queue,
            self.router(),
            change,
            observer,
            claim_store,
            Intake::new("arn:test"),
        )
    }

    fn send(&self, count: usize) {
        for _ in 0..count {
            self.queue.send(r#"{"type":"work","payload":{}}"#, None);
        }
    }

    fn is_down(&self, down: bool) {
        self.store.down.store(down, Ordering::SeqCst);
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    fn pauses(&self) -> Vec<(PauseReason, bool)> {
        self.pauses.0.lock().unwrap().clone()
    }
}

const BEGUN: (PauseReason, bool) = (PauseReason::StoreDown, true);
const ENDED: (PauseReason, bool) = (PauseReason::StoreDown, false);
const GAUGE: &str = r#"drumline_paused{queue="jobs",reason="store_down"}"#;

#[tokio::test(start_paused = true)]
async fn no_message_is_received_while_the_store_is_down() {
    let site = Site::new(StoreOutage::Retry);
    let consumer = site.consumer();
    site.is_down(true);
    site.send(1);
    // The claim fails at once. An open receive returns nothing for 20 s at most.
    sleep(Duration::from_secs(25)).await;
    assert_eq!(site.pauses(), [BEGUN]);
    assert!(consumer.metrics.encode().contains(&format!("{GAUGE} 1")));
    let receives = site.queue.requests.receives.load(Ordering::SeqCst);
    site.send(3);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(site.queue.requests.receives.load(Ordering::SeqCst), receives);
    assert_eq!(site.runs(), 0, "no job runs without a claim");

    site.is_down(false);
    assert!(site.queue.drained_within(Duration::from_secs(120)).await);
    assert_eq!(site.runs(), 4);
    assert_eq!(site.pauses(), [BEGUN, ENDED]);
    assert!(consumer.metrics.encode().contains(&format!("{GAUGE} 0")));
    assert!(site.queue.dead().is_empty(), "an outage is no failure of the job");
    consumer.stop().await;
}

/// With this lease a claim lasts 27 s, and would have expired.
#[tokio::test(start_paused = true)]
async fn a_job_done_in_an_outage_is_marked_after_it_and_runs_once() {
    for outage in [15, 45, 90, 600].map(Duration::from_secs) {
        let site = Site { takes: Duration::from_secs(5), ..Site::new(StoreOutage::Retry) };
        let (first, second) = (site.consumer(), site.consumer());
        site.send(20);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(site.runs(), 20);
        site.is_down(true);
        sleep(outage).await;
        assert_eq!(site.queue.left().len(), 20, "kept until they are marked");
        site.is_down(false);
        assert!(site.queue.drained_within(Duration::from_secs(15)).await);
        assert_eq!(site.runs(), 20, "none runs again");
        first.stop().await;
        second.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_done_in_an_outage_is_deleted_at_a_stop() {
    let site = Site { takes: Duration::from_secs(5), ..Site::new(StoreOutage::Retry) };
    let consumer = site.consumer();
    site.send(3);
    sleep(Duration::from_secs(1)).await;
    site.is_down(true);
    let summary = consumer.stop().await;
    assert_eq!((summary.drained, summary.released, summary.abandoned), (3, 0, 0));
    assert!(site.queue.left().is_empty());
    site.is_down(false);
    let consumer = site.consumer();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(site.runs(), 3);
    consumer.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_starts_in_an_outage_is_paused_from_its_start() {
    let site = Site::new(StoreOutage::Retry);
    let first = site.consumer();
    site.is_down(true);
    site.send(1);
    sleep(Duration::from_secs(1)).await;
    let second = site.consumer();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(site.pauses(), [BEGUN, BEGUN]);
    first.stop().await;
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn jobs_that_run_without_claims_need_no_pause() {
    let site = Site::new(StoreOutage::Run);
    let consumer = site.consumer();
    site.is_down(true);
    for sent in 1..=5 {
        site.send(1);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(site.runs(), sent);
    }
    assert_eq!(site.pauses(), []);
    consumer.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_function_does_not_receive_so_it_is_not_paused() {
    let site = Site::new(StoreOutage::Retry);
    site.is_down(true);
    site.send(3);
    let function = TestFunction {
        queue: site.queue.clone(),
        router: site.router(),
        change: |_| {},
        observer: Arc::clone(&site.pauses) as Arc<dyn Observer>,
        claim_store: site.claim_store.clone(),
        intake: Intake::new("arn:test"),
    };
    let recovers = async {
        sleep(Duration::from_secs(30)).await;
        site.is_down(false);
    };
    tokio::join!(function.until_drained(), recovers);
    assert_eq!((site.runs(), site.pauses()), (3, vec![]));
}
