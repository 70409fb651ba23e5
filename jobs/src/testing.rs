//! A host small enough for tests, and one attempt at a job under it.

#![allow(clippy::unwrap_used)]

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use drumline::{Attempt, Context, Ending, Host, Message, Progress, Router, RunControl};
use serde_json::{Value, json};

/// Runs blocking work on tokio's threads, and remembers the progress told.
#[derive(Default)]
pub(crate) struct TestHost {
    pub(crate) progress: Mutex<Vec<(u64, u64)>>,
    /// Cancels the run once so much is done.
    pub(crate) cancel_at: Option<(u64, RunControl)>,
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
}

/// Runs a job of `job_type` once.
pub(crate) async fn run(router: &Router, job_type: &str, payload: Value) -> Ending {
    let body = json!({ "type": job_type, "payload": payload }).to_string();
    attempt(router, body, 1, Arc::default(), RunControl::new()).await
}

/// Makes one attempt at a message.
pub(crate) async fn attempt(
    router: &Router,
    body: String,
    number: u32,
    host: Arc<TestHost>,
    control: RunControl,
) -> Ending {
    let message = Message { id: "m-1".into(), body, ..Message::default() };
    let attempt = Attempt {
        queue: "test".into(),
        message: Arc::new(message),
        number: NonZeroU32::new(number).unwrap(),
        deadline: Instant::now() + Duration::from_secs(60),
        control,
        host,
    };
    router.run(attempt).await.ending
}
