//! Jobs of a type start as often as its rate allows, in one worker or in several together.

use std::any::Any;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::core::{
    Claim, ClaimRequest, ClaimResult, LimitRules, Limits, MaybeReady, Ownership, RateKey, RateRule,
    ReleaseClaim, TypeRules,
};
use drumline::message::{Identity, Intake};
use drumline::run::NoopObserver;
use drumline::{Context, Failure, Job, Router};
use drumline_runtime::{ClaimStoreClient, Refill};
use drumline_store::{
    AttemptRecord, JobRecord, MemoryStore, ProgressRecord, Retention, Store, StoreError, TokenLease,
    TokenRequest,
};
use drumline_tests::ModelQueue;
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::running::{Consumer, in_memory};

const LEASE: Duration = Duration::from_secs(30);

#[derive(serde::Deserialize)]
struct Mail {
    #[serde(default)]
    to: String,
}

impl Job for Mail {
    const TYPE: &'static str = "mail";
}

/// The starts of jobs: the time and the worker.
#[derive(Clone)]
struct Starts {
    begun: Instant,
    at: Arc<Mutex<Vec<(Duration, String)>>>,
}

impl Starts {
    fn new() -> Self {
        Self { begun: Instant::now(), at: Arc::default() }
    }

    fn router(&self) -> Router {
        let starts = self.clone();
        Router::new().handle(move |_: Context, mail: Mail| {
            starts.at.lock().unwrap().push((starts.begun.elapsed(), mail.to));
            async { Ok::<(), Failure>(()) }
        })
    }

    fn between(&self, from: u64, to: u64) -> usize {
        let (from, to) = (Duration::from_secs(from), Duration::from_secs(to));
        self.at.lock().unwrap().iter().filter(|(at, _)| *at >= from && *at < to).count()
    }

    fn of(&self, to: &str) -> usize {
        self.at.lock().unwrap().iter().filter(|(_, of)| of == to).count()
    }
}

fn limits(rate: &str, key: Option<RateKey>) -> Limits {
    let rate: drumline::core::Rate = rate.parse().unwrap();
    let rate = Some(RateRule { rate, burst: rate.default_burst(), key });
    let mut rules = LimitRules::none(NonZeroUsize::MIN);
    rules.types.insert("mail".to_owned(), TypeRules { rate, ..TypeRules::default() });
    Limits::new(rules)
}

fn consumer(queue: &ModelQueue, starts: &Starts, store: ClaimStoreClient, limits: &Limits) -> Consumer {
    let (intake, observer) = (Intake::new("arn:test"), Arc::new(NoopObserver));
    Consumer::with_limits(queue, starts.router(), |_| {}, observer, store, intake, Some(limits.clone()))
}

fn send(queue: &ModelQueue, to: &str, count: usize) {
    for _ in 0..count {
        queue.send(&format!(r#"{{"type":"mail","payload":{{"to":"{to}"}}}}"#), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_starts_a_burst_and_then_as_many_as_the_rate_gives() {
    let (queue, starts) = (ModelQueue::new("jobs", LEASE, 5), Starts::new());
    send(&queue, "a", 9);
    let consumer = consumer(&queue, &starts, in_memory(), &limits("20/s", None));
    assert!(queue.drained_within(Duration::from_secs(5)).await);
    let at: Vec<u128> = starts.at.lock().unwrap().iter().map(|(at, _)| at.as_millis()).collect();
    let first = at[0];
    let since: Vec<u128> = at.iter().map(|at| at - first).collect();
    assert_eq!(since.len(), 9);
    for (index, since) in since.iter().enumerate() {
        let due = 50 * (index as u128).saturating_sub(1);
        assert!((due..=due + 5).contains(since), "{index}: {since} ms");
    }
    consumer.stop().await;
}

#[tokio::test(start_paused = true)]
async fn keys_are_counted_apart_and_those_without_one_together() {
    let (queue, starts) = (ModelQueue::new("jobs", LEASE, 5), Starts::new());
    for to in ["a", "b"] {
        send(&queue, to, 3);
    }
    for _ in 0..3 {
        queue.send(r#"{"type":"mail","payload":{}}"#, None);
    }
    let limits = limits("1/m", Some(RateKey::Pointer("/to".to_owned())));
    let consumer = consumer(&queue, &starts, in_memory(), &limits);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(["a", "b", ""].map(|to| starts.of(to)), [1, 1, 1]);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(["a", "b", ""].map(|to| starts.of(to)), [2, 2, 2]);
    consumer.stop().await;
}

/// A store that several workers share and that can become unreachable.
struct Shared {
    store: MemoryStore,
    is_down: AtomicBool,
}

impl Shared {
    fn new() -> Arc<Self> {
        let store = MemoryStore::new("shared".into(), Retention::default());
        Arc::new(Self { store, is_down: AtomicBool::new(false) })
    }

    fn client(self: &Arc<Self>, worker: &str) -> ClaimStoreClient {
        let store = Arc::clone(self) as Arc<dyn Store>;
        ClaimStoreClient::new(store, worker.into(), Arc::new(NoopObserver), Handle::current())
    }
}

impl Store for Shared {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, StoreError>> {
        self.store.claim(request)
    }
    fn renew<'a>(
        &'a self,
        claim: &'a Claim,
        length: Duration,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.store.renew(claim, length)
    }
    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.store.finish(claim, result)
    }
    fn release_claim<'a>(
        &'a self,
        claim: &'a Claim,
        how: &'a ReleaseClaim,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.store.release_claim(claim, how)
    }
    fn checkpoint<'a>(
        &'a self,
        claim: &'a Claim,
        value: &'a RawValue,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.store.checkpoint(claim, value)
    }
    fn progress<'a>(
        &'a self,
        identity: &'a Identity,
        progress: &'a ProgressRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        self.store.progress(identity, progress)
    }
    fn attempted<'a>(
        &'a self,
        identity: &'a Identity,
        attempt: &'a AttemptRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        self.store.attempted(identity, attempt)
    }
    fn jobs<'a>(&'a self, job_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        self.store.jobs(job_id)
    }
    fn lease_tokens<'a>(
        &'a self,
        request: &'a TokenRequest,
    ) -> MaybeReady<'a, Result<TokenLease, StoreError>> {
        if self.is_down.load(Ordering::SeqCst) {
            return MaybeReady::now(Err(StoreError::Unanswered("no route".into())));
        }
        MaybeReady::later(async move {
            sleep(Duration::from_millis(1)).await;
            self.store.lease_tokens(request).await
        })
    }
    fn ping(&self) -> MaybeReady<'_, Result<(), StoreError>> {
        self.store.ping()
    }
    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

#[tokio::test(start_paused = true)]
async fn workers_share_the_rate_through_the_store_while_one_is_killed() {
    let (queue, starts, store) = (ModelQueue::new("jobs", LEASE, 5), Starts::new(), Shared::new());
    send(&queue, "a", 3_000);
    let mut workers = Vec::new();
    for name in ["one", "two", "three"] {
        let (limits, client) = (limits("20/s", None), store.client(name));
        let refill = Refill::start(&limits, &client).unwrap();
        workers.push((consumer(&queue, &starts, client, &limits), refill));
    }
    sleep(Duration::from_secs(5)).await;
    let (killed, refill) = workers.remove(0);
    killed.kill();
    drop(refill);
    sleep(Duration::from_secs(5)).await;
    let started = starts.between(0, 10);
    assert!((180..=210).contains(&started), "{started}");
    for (worker, _) in workers {
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn jobs_of_the_type_wait_while_the_store_leases_nothing() {
    let (queue, starts, store) = (ModelQueue::new("jobs", LEASE, 5), Starts::new(), Shared::new());
    let (limits, client) = (limits("20/s", None), store.client("one"));
    let _refill = Refill::start(&limits, &client).unwrap();
    let consumer = consumer(&queue, &starts, client, &limits);
    store.is_down.store(true, Ordering::SeqCst);
    send(&queue, "a", 5);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(starts.between(0, 20), 0);
    store.is_down.store(false, Ordering::SeqCst);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(starts.between(20, 40), 5);
    consumer.stop().await;
}
