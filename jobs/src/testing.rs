//! A host small enough for tests, and one attempt at a job under it.

#![allow(clippy::unwrap_used)]

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use drumline::{
    Admission, Answer, Attempt, Claim, ClaimRequest, Context, Ending, Grant, Held, Host, Message, Progress,
    Router, RunControl,
};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Runs blocking work on tokio's threads, and remembers what it is told. It grants every claim.
#[derive(Default)]
pub(crate) struct TestHost {
    pub(crate) progress: Mutex<Vec<(u64, u64)>>,
    /// Cancels the run once so much is done.
    pub(crate) cancel_at: Option<(u64, RunControl)>,
    /// The last checkpoint, which is what the next attempt resumes from.
    pub(crate) checkpoint: Mutex<Option<Box<RawValue>>>,
    /// What a job that is done has left.
    pub(crate) result: Mutex<Option<Box<RawValue>>>,
    /// The keys that were asked for, each with its lock.
    pub(crate) claims: Mutex<Vec<(String, Option<String>)>>,
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
}

impl Host for TestHost {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(work);
    }

    fn progress(&self, _: &Context, progress: &Progress) {
        self.progress.lock().unwrap().push((progress.done, progress.total));
        if let Some((done, control)) = &self.cancel_at
            && *done == progress.done
        {
            control.cancel(drumline::CancelReason::Shutdown);
        }
    }

    fn claim<'a>(&'a self, request: ClaimRequest, _: &'a RunControl) -> Answer<'a, Admission> {
        self.claims.lock().unwrap().push((request.key.to_string(), request.lock.clone()));
        let claim = Claim {
            key: request.key,
            owner: "test".into(),
            counter: 1,
            lock: request.lock.map(|lock| (lock, 1)),
            job_id: request.job_id,
        };
        let grant = Grant {
            claim: Arc::new(claim),
            attempt: NonZeroU32::new(request.receive_count).unwrap_or(NonZeroU32::MIN),
            checkpoint: self.checkpoint.lock().unwrap().clone(),
        };
        Answer::now(Admission::Granted(grant))
    }

    fn finish<'a>(&'a self, _: &'a Claim, result: Option<Box<RawValue>>) -> Answer<'a, Held> {
        *self.result.lock().unwrap() = result;
        Answer::now(Held::Ours)
    }

    fn checkpoint(&self, _: &Context, value: Box<RawValue>) {
        *self.checkpoint.lock().unwrap() = Some(value);
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
    let message = Message { id: "m-1".into(), body, receive_count: number, ..Message::default() };
    let attempt = Attempt {
        queue: "test".into(),
        message: Arc::new(message),
        number: NonZeroU32::new(number).unwrap(),
        deadline: Instant::now() + Duration::from_secs(60),
        claim_length: Duration::from_secs(60),
        control,
        host,
    };
    router.run(attempt).await.ending
}

/// Runs something that wants a context, once.
pub(crate) async fn within<F, Fut>(body: F) -> Ending
where
    F: FnOnce(Context) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), drumline::Failure>> + Send + 'static,
{
    let body = Mutex::new(Some(body));
    let router = Router::undecoded(move |ctx| body.lock().unwrap().take().unwrap()(ctx));
    attempt(&router, String::new(), 1, Arc::default(), RunControl::new()).await
}
