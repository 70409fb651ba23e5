#![allow(clippy::unwrap_used)]
use std::any::Any;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use drumline::core::{
    Claim, ClaimRequest, ClaimResult, Claimed, DeliveryId, Ending, Grant, MarkError, MaybeReady, Ownership,
    ReleaseClaim, RunControl, RunReport,
};
use drumline::message::{Identity, Intake, Message};
use drumline::run::{Attempt, NoopObserver, RunEnvironment};
use drumline::{Context, Failure, Job, Router};
use drumline_store::{AttemptRecord, JobRecord, JobState, MemoryStore, ProgressRecord};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::*;
use crate::drive::input::Input;
use crate::handlers::TokioHost;

/// A store in memory that may be out of reach, and writes down what it is asked.
struct Shaky {
    store: MemoryStore,
    at_once: bool,
    down: AtomicBool,
    asked: Mutex<Vec<&'static str>>,
}

impl Shaky {
    fn ask(&self, what: &'static str) -> Result<&MemoryStore, StoreError> {
        self.asked.lock().unwrap().push(what);
        if self.down.load(Ordering::SeqCst) {
            Err(StoreError::Unanswered("no route".into()))
        } else {
            Ok(&self.store)
        }
    }

    fn answer<'a, T: Send + 'a>(
        &'a self,
        what: &'static str,
        question: impl FnOnce(&'a MemoryStore) -> MaybeReady<'a, Result<T, StoreError>> + Send + 'a,
    ) -> MaybeReady<'a, Result<T, StoreError>> {
        if self.at_once {
            self.ask(what).map_or_else(|error| MaybeReady::now(Err(error)), question)
        } else {
            MaybeReady::later(async move { question(self.ask(what)?).await })
        }
    }

    fn times_asked(&self, what: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| **asked == what).count()
    }
}

impl Store for Shaky {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, StoreError>> {
        self.answer("claim", move |store| store.claim(request))
    }
    fn renew<'a>(
        &'a self,
        claim: &'a Claim,
        length: Duration,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.answer("renew", move |store| store.renew(claim, length))
    }
    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.answer("finish", move |store| store.finish(claim, result))
    }
    fn release_claim<'a>(
        &'a self,
        claim: &'a Claim,
        how: &'a ReleaseClaim,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.answer("surrender", move |store| store.release_claim(claim, how))
    }
    fn checkpoint<'a>(
        &'a self,
        claim: &'a Claim,
        value: &'a RawValue,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        self.answer("checkpoint", move |store| store.checkpoint(claim, value))
    }
    fn progress<'a>(
        &'a self,
        identity: &'a Identity,
        progress: &'a ProgressRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        self.answer("progress", move |store| store.progress(identity, progress))
    }
    fn attempted<'a>(
        &'a self,
        identity: &'a Identity,
        attempt: &'a AttemptRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        self.answer("attempted", move |store| store.attempted(identity, attempt))
    }
    fn jobs<'a>(&'a self, job_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        self.store.jobs(job_id)
    }
    fn ping(&self) -> MaybeReady<'_, Result<(), StoreError>> {
        self.answer("ping", |store| store.ping())
    }
    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

/// With a store that takes its time, as all shared ones do.
fn claim_store() -> (ClaimStoreClient, Arc<Shaky>) {
    claims_of(false)
}

/// With a store that takes its time, and one that answers at once.
fn both_claims() -> [(ClaimStoreClient, Arc<Shaky>); 2] {
    [false, true].map(claims_of)
}

fn claims_of(at_once: bool) -> (ClaimStoreClient, Arc<Shaky>) {
    let store = MemoryStore::new("worker".into(), Retention::default());
    let shaky = Arc::new(Shaky { store, at_once, down: AtomicBool::new(false), asked: Mutex::default() });
    let store = Arc::clone(&shaky) as Arc<dyn Store>;
    (ClaimStoreClient::new(store, "worker".into(), Arc::new(NoopObserver), Handle::current()), shaky)
}

fn request() -> ClaimRequest {
    ClaimRequest {
        identity: Arc::new(Identity::new("arn:jobs", "a.b", None, "k")),
        legacy_key: None,
        payload_hash: 7,
        lock: None,
        length: Duration::from_secs(27),
        queue: "jobs".into(),
        message_id: "m1".into(),
        receive_count: 1,
    }
}

async fn granted(claim_store: &ClaimStoreClient) -> Arc<Claim> {
    let Ok(ClaimResult::Granted(Grant { claim, .. })) = claim_store.claim(&request()).await else {
        panic!("it is granted")
    };
    claim
}

#[tokio::test(start_paused = true)]
async fn each_request_is_made_once_and_its_answer_passed_on() {
    for (claim_store, store) in both_claims() {
        let claim = granted(&claim_store).await;
        store.down.store(true, Ordering::SeqCst);
        let unanswered = || Err("no route".to_owned());
        assert_eq!(claim_store.claim(&request()).await.map(|_| Ownership::Kept), unanswered());
        assert_eq!(claim_store.renew(&claim, Duration::from_secs(9)).await, unanswered());
        assert_eq!(claim_store.mark(&claim, None).await, Err(MarkError::Unanswered("no route".to_owned())));
        let how = ReleaseClaim { count_attempt: false, failure_reason: None, dead: false };
        assert_eq!(claim_store.release(&claim, &how).await, unanswered());
        store.down.store(false, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(
            claim_store.renew(&claim, Duration::from_secs(9)).await,
            Ok(Ownership::Kept),
            "not taken since it expired"
        );
        assert_eq!(claim_store.mark(&claim, None).await, Ok(Ownership::Kept));
        assert!(matches!(claim_store.claim(&request()).await, Ok(ClaimResult::Done(_))));
        assert_eq!(claim_store.release(&claim, &how).await, Ok(Ownership::Lost));
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_and_so_is_its_end() {
    let (claim_store, store) = claim_store();
    let mut answers = claim_store.answers();
    assert!(*answers.borrow_and_update());
    let claim = granted(&claim_store).await;
    store.down.store(true, Ordering::SeqCst);
    assert_eq!(claim_store.renew(&claim, Duration::from_secs(9)).await, Err("no route".to_owned()));
    answers.changed().await.unwrap();
    assert!(!*answers.borrow_and_update());
    // It is asked for until it is there, and not too often.
    sleep(Duration::from_secs(60)).await;
    let pings = store.times_asked("ping");
    assert!((6..20).contains(&pings), "{pings}");
    store.down.store(false, Ordering::SeqCst);
    answers.changed().await.unwrap();
    assert!(*answers.borrow_and_update());
}

#[derive(serde::Deserialize)]
struct Steps {
    steps: u64,
    fails: bool,
}

impl Job for Steps {
    const TYPE: &'static str = "steps";
}

async fn steps(ctx: Context, job: Steps) -> Result<(), Failure> {
    let first = ctx.resume::<u64>().unwrap_or(0);
    for step in first..job.steps {
        sleep(Duration::from_millis(100)).await;
        ctx.progress(step + 1, job.steps, "steps");
        ctx.checkpoint(&(step + 1))?;
    }
    ctx.set_result(&serde_json::json!({ "from": first }))?;
    if job.fails && first == 0 { Err(Failure::retry("once")) } else { Ok(()) }
}

#[allow(clippy::disallowed_methods, reason = "a test's own clock")]
async fn run(claim_store: &ClaimStoreClient, steps_to_do: u64, fails: bool) -> RunReport {
    let (inputs, mut reported) = mpsc::channel(8);
    let observer = Arc::new(claim_store.history_observer());
    let host = TokioHost {
        queue: "jobs".into(),
        free_slots: Arc::default(),
        payloads: crate::payload::Payloads::default(),
        next_jobs: None,
        limits: None,
        claim_store: Some(claim_store.clone()),
        inputs,
        observer,
        max_receives: None,
        handler_timeout_by_type: std::collections::HashMap::new(),
    };
    let body = serde_json::json!({
        "type": "steps", "jobId": "j", "payload": { "steps": steps_to_do, "fails": fails },
    });
    let message = Message { id: "m1".into(), body: body.to_string(), receive_count: 1, ..Message::default() };
    let attempt = Attempt {
        delivery: DeliveryId::default(),
        queue: "jobs".into(),
        intake: Arc::new(Intake::new("arn:jobs")),
        message: Arc::new(message),
        number: NonZeroU32::MIN,
        started_at: std::time::Instant::now(),
        deadline: std::time::Instant::now() + Duration::from_secs(600),
        latest_deadline: std::time::Instant::now() + Duration::from_secs(600),
        claim_length: Duration::from_secs(600),
        permit: None,
        arrival: None,
        control: RunControl::new(),
        host: Arc::new(host) as Arc<dyn RunEnvironment>,
    };
    let report = Router::new().handle(steps).run(attempt).await;
    // As the ledger asks for it.
    if let Ok(Input::Claimed(_, Claimed::Granted(claim))) = reported.try_recv() {
        if report.ending == Ending::Done {
            assert_eq!(claim_store.mark(&claim, report.result.as_ref()).await, Ok(Ownership::Kept));
        } else {
            let how = ReleaseClaim { count_attempt: true, failure_reason: None, dead: false };
            assert_eq!(claim_store.release(&claim, &how).await, Ok(Ownership::Kept));
        }
    }
    report
}

#[tokio::test(start_paused = true)]
async fn progress_and_checkpoints_are_written_once_a_second() {
    let (claim_store, store) = claim_store();
    assert_eq!(run(&claim_store, 100, false).await.ending, Ending::Done);
    claim_store.settle(Duration::from_secs(5)).await;
    for what in ["progress", "checkpoint"] {
        let times = store.times_asked(what);
        assert!((8..=11).contains(&times), "{what}: {times} in ten seconds");
    }
    let record = store.jobs("j").await.unwrap().remove(0);
    assert_eq!(record.progress.map(|progress| progress.done), Some(100), "the last one told");
    let claim = record.claim.unwrap();
    assert_eq!((claim.state, claim.result), (JobState::Done, Some(serde_json::json!({ "from": 0 }))));
}

#[tokio::test(start_paused = true)]
async fn a_short_job_costs_no_more_than_its_claim() {
    for (claim_store, store) in both_claims() {
        assert_eq!(run(&claim_store, 5, false).await.ending, Ending::Done);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(*store.asked.lock().unwrap(), ["claim", "finish"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_attempt_kept_is_there_for_the_next() {
    let (claim_store, store) = claim_store();
    let report = run(&claim_store, 5, true).await;
    assert!(report.attempt == Some(NonZeroU32::MIN), "{report:?}");
    assert_eq!(*store.asked.lock().unwrap(), ["claim", "checkpoint", "progress", "surrender"]);
    assert_eq!(run(&claim_store, 5, true).await.ending, Ending::Done);
    let claim = store.jobs("j").await.unwrap().remove(0).claim.unwrap();
    assert_eq!(claim.result, Some(serde_json::json!({ "from": 5 })));
    assert!(matches!(run(&claim_store, 5, true).await.ending, Ending::DoneBefore(_)));
}
