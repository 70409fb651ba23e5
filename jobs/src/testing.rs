//! A host small enough for tests, and one attempt at a job under it.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use drumline::core::{
    Claim, ClaimRequest, ClaimResult, DeliveryId, Ending, Grant, MaybeReady, PriorRun, RunControl, RunReport,
};
use drumline::message::{Intake, Message};
use drumline::run::{Attempt, AttemptInfo, Event, Observer, RunEnvironment};
use drumline::{Context, Router};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Settings;

impl Settings {
    /// Returns settings whose files lie in `folder` itself.
    pub(crate) fn with_files_in(folder: &Path) -> Self {
        Self { file_root: folder.to_owned(), ..Self::for_folder(folder) }
    }
}

/// Runs blocking work on tokio's threads, and remembers what it is told. It grants every claim of a job that it has not
/// seen done.
#[derive(Default)]
pub(crate) struct TestHost {
    pub(crate) progress: Mutex<Vec<(u64, u64)>>,
    /// Cancels the run once so much is done; at its start, if that is nothing.
    pub(crate) cancel_at: Option<(u64, RunControl)>,
    /// The last checkpoint, which is what the next attempt resumes from.
    pub(crate) checkpoint: Mutex<Option<Box<RawValue>>>,
    /// What a job that is done has left.
    pub(crate) result: Mutex<Option<Box<RawValue>>>,
    /// The ids that were asked for, each with its lock.
    pub(crate) claims: Mutex<Vec<(String, Option<String>)>>,
    /// The identities of the jobs that are done.
    pub(crate) done: Mutex<HashSet<Arc<str>>>,
}

impl TestHost {
    /// The result as JSON.
    pub(crate) fn result(&self) -> Value {
        self.result
            .lock()
            .unwrap()
            .as_ref()
            .map_or(Value::Null, |result| serde_json::from_str(result.get()).unwrap())
    }

    /// Marks a job as done, as the ledger asks for it.
    fn mark(&self, report: &RunReport) {
        if report.ending == Ending::Done {
            let result = report.result.as_ref().map(|result| result.0.get().to_owned());
            *self.result.lock().unwrap() = result.map(|result| RawValue::from_string(result).unwrap());
            let identity = report.identity.as_ref().unwrap();
            self.done.lock().unwrap().insert(Arc::clone(identity.key()));
        }
    }
}

impl RunEnvironment for TestHost {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(work);
    }

    fn observer(&self) -> &dyn Observer {
        self
    }

    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, String>> {
        self.claims.lock().unwrap().push((request.identity.id().to_string(), request.lock.clone()));
        if self.done.lock().unwrap().contains(request.identity.key()) {
            return MaybeReady::now(Ok(ClaimResult::Done(Box::new(PriorRun {
                result: self.result.lock().unwrap().clone(),
                job_id: request.identity.job_id().to_string(),
                message_id: request.message_id.to_string(),
                queue: request.queue.to_string(),
                worker: "test".to_owned(),
                finished_at_ms: None,
            }))));
        }
        let claim = Claim {
            identity: Arc::clone(&request.identity),
            owner: "test".into(),
            fencing_token: 1,
            lock: request.lock.clone().map(|lock| (lock, 1)),
        };
        let grant = Grant {
            takeover: None,
            claim: Arc::new(claim),
            attempt: NonZeroU32::new(request.receive_count).unwrap_or(NonZeroU32::MIN),
            checkpoint: self.checkpoint.lock().unwrap().clone(),
        };
        MaybeReady::now(Ok(ClaimResult::Granted(grant)))
    }

    fn checkpoint(&self, _: &AttemptInfo, value: Box<RawValue>) {
        *self.checkpoint.lock().unwrap() = Some(value);
    }
}

impl Observer for TestHost {
    fn observe(&self, event: &Event<'_>) {
        let done_now = match event {
            Event::RunStarted { .. } => 0,
            Event::Progress { progress, .. } => {
                self.progress.lock().unwrap().push((progress.done, progress.total));
                progress.done
            }
            _ => return,
        };
        if let Some((done, control)) = &self.cancel_at
            && *done == done_now
        {
            control.cancel(drumline::core::CancelReason::Shutdown);
        }
    }
}

/// Runs a job of `job_type` once.
pub(crate) async fn run(router: &Router, job_type: &str, payload: Value) -> Ending {
    run_under(router, job_type, payload, Arc::default(), RunControl::new()).await
}

/// Runs a job of `job_type` once, under a host that may have seen it before.
pub(crate) async fn run_under(
    router: &Router,
    job_type: &str,
    payload: Value,
    host: Arc<TestHost>,
    control: RunControl,
) -> Ending {
    let body = json!({ "type": job_type, "payload": payload }).to_string();
    attempt(router, body, 1, host, control).await
}

/// Makes one attempt at a message.
pub(crate) async fn attempt(
    router: &Router,
    body: String,
    number: u32,
    host: Arc<TestHost>,
    control: RunControl,
) -> Ending {
    let report = report(router, body, number, Arc::clone(&host), control).await;
    host.mark(&report);
    report.ending
}

async fn report(
    router: &Router,
    body: String,
    number: u32,
    host: Arc<impl RunEnvironment>,
    control: RunControl,
) -> RunReport {
    let message = Message { id: "m-1".into(), body, receive_count: number, ..Message::default() };
    let attempt = Attempt {
        delivery: DeliveryId::default(),
        queue: "test".into(),
        intake: Arc::new(Intake::new("arn:test")),
        message: Arc::new(message),
        number: NonZeroU32::new(number).unwrap(),
        started_at: Instant::now(),
        deadline: Instant::now() + Duration::from_secs(60),
        latest_deadline: Instant::now() + Duration::from_secs(60),
        claim_length: Duration::from_secs(60),
        control,
        host,
    };
    router.run(attempt).await
}

/// A host that keeps the claim that a job asks for, and does not grant it.
#[derive(Default)]
struct Refusal(Mutex<Option<ClaimRequest>>);

impl RunEnvironment for Refusal {
    fn spawn_blocking(&self, _: Box<dyn FnOnce() + Send>) {
        panic!("no handler runs without its claim");
    }

    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, String>> {
        *self.0.lock().unwrap() = Some(request.clone());
        MaybeReady::now(Ok(ClaimResult::Busy(Duration::from_secs(1))))
    }
}

/// Returns the id of a job and the hash of its payload. Jobs with one id must have one hash.
pub(crate) async fn identify(router: &Router, job_type: &str, payload: &Value) -> (String, u128) {
    identify_body(router, json!({ "type": job_type, "jobId": "j-1", "payload": payload }).to_string()).await
}

/// Returns what [`identify`] returns, for a message's body.
pub(crate) async fn identify_body(router: &Router, body: String) -> (String, u128) {
    let host = Arc::<Refusal>::default();
    let ending = report(router, body.clone(), 1, Arc::clone(&host), RunControl::new()).await.ending;
    let request = host.0.lock().unwrap().take().unwrap_or_else(|| panic!("{body}: {ending:?}"));
    (request.identity.id().to_string(), request.payload_hash)
}

/// Runs something that wants a context, once.
pub(crate) async fn within<F, Fut>(body: F) -> Ending
where
    F: FnOnce(Context) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), drumline::Failure>> + Send + 'static,
{
    within_control(RunControl::new(), body).await
}

/// Runs something that wants a context, once, under a control of the test's own.
pub(crate) async fn within_control<F, Fut>(control: RunControl, body: F) -> Ending
where
    F: FnOnce(Context) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), drumline::Failure>> + Send + 'static,
{
    let body = Mutex::new(Some(body));
    let router = Router::passthrough(move |ctx| body.lock().unwrap().take().unwrap()(ctx));
    attempt(&router, String::new(), 1, Arc::<TestHost>::default(), control).await
}
