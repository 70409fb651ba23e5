#![allow(clippy::unwrap_used)]
use std::any::Any;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use drumline::core::{
    Admission, Answer, Claim, ClaimRequest, Claimed, DeliveryId, Ending, Grant, Held, MarkError, Report,
    RunControl, Surrender,
};
use drumline::message::{Identity, Intake, Message};
use drumline::run::{Attempt, Host, NoopObserver};
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
        question: impl FnOnce(&'a MemoryStore) -> Answer<'a, Result<T, StoreError>> + Send + 'a,
    ) -> Answer<'a, Result<T, StoreError>> {
        if self.at_once {
            self.ask(what).map_or_else(|error| Answer::now(Err(error)), question)
        } else {
            Answer::later(async move { question(self.ask(what)?).await })
        }
    }

    fn times_asked(&self, what: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| **asked == what).count()
    }
}

impl Store for Shaky {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> Answer<'a, Result<Admission, StoreError>> {
        self.answer("claim", move |store| store.claim(request))
    }
    fn renew<'a>(&'a self, claim: &'a Claim, length: Duration) -> Answer<'a, Result<Held, StoreError>> {
        self.answer("renew", move |store| store.renew(claim, length))
    }
    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> Answer<'a, Result<Held, StoreError>> {
        self.answer("finish", move |store| store.finish(claim, result))
    }
    fn surrender<'a>(&'a self, claim: &'a Claim, how: &'a Surrender) -> Answer<'a, Result<Held, StoreError>> {
        self.answer("surrender", move |store| store.surrender(claim, how))
    }
    fn checkpoint<'a>(
        &'a self,
        claim: &'a Claim,
        value: &'a RawValue,
    ) -> Answer<'a, Result<Held, StoreError>> {
        self.answer("checkpoint", move |store| store.checkpoint(claim, value))
    }
    fn progress<'a>(
        &'a self,
        identity: &'a Identity,
        progress: &'a ProgressRecord,
    ) -> Answer<'a, Result<(), StoreError>> {
        self.answer("progress", move |store| store.progress(identity, progress))
    }
    fn attempted<'a>(
        &'a self,
        identity: &'a Identity,
        attempt: &'a AttemptRecord,
    ) -> Answer<'a, Result<(), StoreError>> {
        self.answer("attempted", move |store| store.attempted(identity, attempt))
    }
    fn jobs<'a>(&'a self, job_id: &'a str) -> Answer<'a, Result<Vec<JobRecord>, StoreError>> {
        self.store.jobs(job_id)
    }
    fn ping(&self) -> Answer<'_, Result<(), StoreError>> {
        self.answer("ping", |store| store.ping())
    }
    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

/// With a store that takes its time, as all shared ones do.
fn books() -> (Books, Arc<Shaky>) {
    books_of(false)
}

/// With a store that takes its time, and one that answers at once.
fn both_books() -> [(Books, Arc<Shaky>); 2] {
    [false, true].map(books_of)
}

fn books_of(at_once: bool) -> (Books, Arc<Shaky>) {
    let store = MemoryStore::new("worker".into(), Keep::default());
    let shaky = Arc::new(Shaky { store, at_once, down: AtomicBool::new(false), asked: Mutex::default() });
    let store = Arc::clone(&shaky) as Arc<dyn Store>;
    (Books::new(store, "worker".into(), Arc::new(NoopObserver), Handle::current()), shaky)
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

async fn granted(books: &Books) -> Arc<Claim> {
    let Ok(Admission::Granted(Grant { claim, .. })) = books.claim(&request()).await else {
        panic!("it is granted")
    };
    claim
}

#[tokio::test(start_paused = true)]
async fn each_request_is_made_once_and_its_answer_passed_on() {
    for (books, store) in both_books() {
        let claim = granted(&books).await;
        store.down.store(true, Ordering::SeqCst);
        let unanswered = || Err("no route".to_owned());
        assert_eq!(books.claim(&request()).await.map(|_| Held::Ours), unanswered());
        assert_eq!(books.renew(&claim, Duration::from_secs(9)).await, unanswered());
        assert_eq!(books.mark(&claim, None).await, Err(MarkError::Unanswered("no route".to_owned())));
        let how = Surrender { spared: true, verdict: None, dead: false };
        assert_eq!(books.release(&claim, &how).await, unanswered());
        store.down.store(false, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(
            books.renew(&claim, Duration::from_secs(9)).await,
            Ok(Held::Ours),
            "not taken since it expired"
        );
        assert_eq!(books.mark(&claim, None).await, Ok(Held::Ours));
        assert!(matches!(books.claim(&request()).await, Ok(Admission::Done(_))));
        assert_eq!(books.release(&claim, &how).await, Ok(Held::Lost));
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_and_so_is_its_end() {
    let (books, store) = books();
    let mut answers = books.answers();
    assert!(*answers.borrow_and_update());
    let claim = granted(&books).await;
    store.down.store(true, Ordering::SeqCst);
    assert_eq!(books.renew(&claim, Duration::from_secs(9)).await, Err("no route".to_owned()));
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
async fn run(books: &Books, steps_to_do: u64, fails: bool) -> Report {
    let (inputs, mut reported) = mpsc::channel(8);
    let observer = Arc::new(books.history_writer());
    let host = TokioHost {
        books: Some(books.clone()),
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
        control: RunControl::new(),
        host: Arc::new(host) as Arc<dyn Host>,
    };
    let report = Router::new().handle(steps).run(attempt).await;
    // As the ledger asks for it.
    if let Ok(Input::Claimed(_, Claimed::Granted(claim))) = reported.try_recv() {
        if report.ending == Ending::Done {
            assert_eq!(books.mark(&claim, report.result.as_ref()).await, Ok(Held::Ours));
        } else {
            let how = Surrender { spared: false, verdict: None, dead: false };
            assert_eq!(books.release(&claim, &how).await, Ok(Held::Ours));
        }
    }
    report
}

#[tokio::test(start_paused = true)]
async fn progress_and_checkpoints_are_written_once_a_second() {
    let (books, store) = books();
    assert_eq!(run(&books, 100, false).await.ending, Ending::Done);
    books.settle(Duration::from_secs(5)).await;
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
    for (books, store) in both_books() {
        assert_eq!(run(&books, 5, false).await.ending, Ending::Done);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(*store.asked.lock().unwrap(), ["claim", "finish"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_attempt_kept_is_there_for_the_next() {
    let (books, store) = books();
    let report = run(&books, 5, true).await;
    assert!(report.attempt == Some(NonZeroU32::MIN), "{report:?}");
    assert_eq!(*store.asked.lock().unwrap(), ["claim", "checkpoint", "progress", "surrender"]);
    assert_eq!(run(&books, 5, true).await.ending, Ending::Done);
    let claim = store.jobs("j").await.unwrap().remove(0).claim.unwrap();
    assert_eq!(claim.result, Some(serde_json::json!({ "from": 5 })));
    assert!(matches!(run(&books, 5, true).await.ending, Ending::DoneBefore(_)));
}
