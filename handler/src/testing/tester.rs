//! The tester of a router.

use std::any::Any;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde::Serialize;

use super::bench::Bench;
use super::runtime::TestRuntime;
use super::test_message::{Content, JobBody, TestMessage};
use super::together::Together;
use crate::api::job::Job;
use crate::api::router::Router;
use crate::core::policy::Policy;
use crate::core::retry::{ReceiveLimit, RetryPolicy};
use crate::message::intake::Intake;

/// Runs jobs through a router, one attempt at a time, with the settings of a worker.
///
/// It remembers from run to run the state of a queue, a worker and a store:
/// - The same job again is the same message, received once more, until it is done or dead: attempts count up, and an attempt
///   resumes from the checkpoint of the one before. After that it is a new message.
/// - A job with the identity of a done job is a duplicate, and its handler does not run. The identity is the job's idempotency
///   key or [`job_id`](TestMessage::job_id); without one, each message is a separate job.
///
/// The defaults are those of a worker on a queue with a DLQ after five receives. Delays have no jitter, so that outcomes are exact.
///
/// ```
/// use std::time::Duration;
/// use drumline::core::Outcome;
/// use drumline::testing::Tester;
/// # use drumline::{Context, Failure, Job, Router};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Charge { invoice: u64 }
///
/// impl Job for Charge {
///     const TYPE: &'static str = "billing.charge";
///
///     fn idempotency_key(&self) -> Option<String> {
///         Some(format!("charge:{}", self.invoice))
///     }
/// }
///
/// async fn charge(ctx: Context, _: Charge) -> Result<(), Failure> {
///     if ctx.attempt().get() < 3 { Err(Failure::retry("no answer")) } else { Ok(()) }
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tester = Tester::new(Router::new().handle(charge)).retry("schedule(10s,1m)".parse()?);
/// for wait in [10, 60] {
///     let run = tester.job(&Charge { invoice: 42 }).await;
///     assert_eq!(*run.outcome(), Outcome::RetryAfter(Duration::from_secs(wait)), "{run}");
/// }
/// assert!(tester.job(&Charge { invoice: 42 }).await.is_done());
/// let duplicate = tester.job(&Charge { invoice: 42 }).await;
/// assert!(duplicate.is_done() && !duplicate.ran(), "{duplicate}");
/// # Ok(()) }
/// # use futures_util::FutureExt;
/// # example().now_or_never().expect("nothing to wait for").unwrap();
/// ```
///
/// Without a [runtime's](Self::on) clock, the waits of [`Context::retry`](crate::Context::retry) take no time but count,
/// blocking work runs on the test's own thread, and a stopped handler is dropped when it next waits.
#[derive(Clone)]
pub struct Tester(Bench);

impl Tester {
    /// Makes a tester of a router's handlers.
    ///
    /// # Panics
    /// If no host would start with it, see [`Router::check`].
    #[track_caller]
    pub fn new(router: Router) -> Self {
        if let Err(error) = router.check() {
            panic!("no host starts with this router:\n{error}");
        }
        Self(Bench::new(router))
    }

    /// Uses the clock and the threads of an async runtime.
    pub fn on(mut self, runtime: TestRuntime) -> Self {
        self.0.runtime = Some(runtime);
        self
    }

    /// Provides a value to handlers, for [`Context::extension`](crate::Context::extension).
    pub fn extension(mut self, value: impl Any + Send + Sync) -> Self {
        self.0.extension = Some(Arc::new(value));
        self
    }

    /// Changes any of the settings for the decisions of outcomes. The values of a job type's code are added, unless the policy
    /// has separate ones for the type.
    pub fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(&mut Arc::make_mut(&mut self.0.settings).policy);
        self
    }

    /// Changes the rules that turn messages into jobs.
    pub fn intake(mut self, change: impl FnOnce(&mut Intake)) -> Self {
        change(&mut Arc::make_mut(&mut self.0.settings).intake);
        self
    }

    /// Sets the failed attempts after which a message fails permanently: the setting `max_attempts`.
    ///
    /// # Panics
    /// If it is 0.
    pub fn max_attempts(self, most: u32) -> Self {
        let most = NonZeroU32::new(most).expect("max_attempts starts at 1");
        self.policy(|policy| policy.max_attempts = Some(most))
    }

    /// Sets the waits between attempts: the setting `retry`.
    pub fn retry(self, retry: RetryPolicy) -> Self {
        self.policy(|policy| policy.retry = retry)
    }

    /// Sets the receives after which the queue moves a message to its DLQ: `maxReceiveCount` of its redrive policy.
    ///
    /// # Panics
    /// If it is 0.
    pub fn max_receive_count(self, most: u32) -> Self {
        let most = NonZeroU32::new(most).expect("maxReceiveCount starts at 1");
        self.policy(|policy| policy.receives = ReceiveLimit::AtMost(most))
    }

    /// Spreads delays according to the settings, with this draw out of all numbers.
    pub fn jitter(mut self, draw: u32) -> Self {
        Arc::make_mut(&mut self.0.settings).draw = Some(draw);
        self
    }

    /// Makes a message with this job.
    ///
    /// # Panics
    /// If the job cannot be written as JSON.
    #[track_caller]
    pub fn job<J: Job + Serialize>(&self, job: &J) -> TestMessage {
        self.envelope(J::TYPE.into(), J::VERSION, job)
    }

    /// Makes a message with a job of this type and payload, for job types that are not [`Serialize`]. It has the newest version
    /// for which the router has a handler.
    ///
    /// # Panics
    /// If the payload cannot be written as JSON.
    ///
    /// ```
    /// # use drumline::{Context, Failure, Job, Router};
    /// # #[derive(serde::Deserialize)] struct Welcome { user_id: u64 }
    /// # impl Job for Welcome { const TYPE: &'static str = "mail.welcome"; }
    /// # async fn welcome(_: Context, _: Welcome) -> Result<(), Failure> { Ok(()) }
    /// use drumline::testing::Tester;
    /// use serde_json::json;
    ///
    /// # async fn example() {
    /// let run = Tester::new(Router::new().handle(welcome)).payload("mail.welcome", &json!({ "user_id": 7 })).await;
    /// assert!(run.is_done(), "{run}");
    /// # }
    /// # use futures_util::FutureExt;
    /// # example().now_or_never().expect("nothing to wait for");
    /// ```
    #[track_caller]
    pub fn payload(&self, job_type: &str, payload: &impl Serialize) -> TestMessage {
        let version = self.0.router.route(job_type).map_or(1, |route| route.job_type.version);
        self.envelope(job_type.to_owned().into(), version, payload)
    }

    /// Makes a message with any body, as SQS delivers it.
    pub fn body(&self, body: impl Into<String>) -> TestMessage {
        TestMessage::new(self.0.clone(), Content::Body(body.into()))
    }

    /// Runs messages at the same time, like a worker with a slot for each. Messages of one queue and one batch handler are in
    /// one batch, up to its [`max_items`](crate::batch::BatchOptions::max_items).
    ///
    /// ```
    /// # use drumline::batch::{BatchContext, BatchOptions, BatchResult, Item, Rest};
    /// # use drumline::{Job, Router};
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Row { name: String }
    /// # impl Job for Row { const TYPE: &'static str = "row.insert"; }
    /// # fn row(name: &str) -> Row { Row { name: name.to_owned() } }
    /// use drumline::testing::Tester;
    ///
    /// async fn insert(_: BatchContext, items: Vec<Item<Row>>) -> BatchResult {
    ///     for item in items.iter().filter(|item| item.job.name.is_empty()) {
    ///         item.failed("a row needs a name");
    ///     }
    ///     Ok(Rest::Done)
    /// }
    ///
    /// # async fn example() {
    /// let tester = Tester::new(Router::new().handle_batch(BatchOptions::new(), insert));
    /// let runs = tester.together([tester.job(&row("a")), tester.job(&row(""))]).await;
    /// assert!(runs[0].is_done(), "{}", runs[0]);
    /// assert_eq!(runs[1].reason().as_deref(), Some("a row needs a name"));
    /// # }
    /// # use futures_util::FutureExt;
    /// # example().now_or_never().expect("nothing to wait for");
    /// ```
    pub fn together(&self, messages: impl IntoIterator<Item = TestMessage>) -> Together {
        Together::new(messages)
    }

    #[track_caller]
    fn envelope(
        &self,
        job_type: std::borrow::Cow<'static, str>,
        schema_version: u32,
        payload: &impl Serialize,
    ) -> TestMessage {
        let payload = match serde_json::value::to_raw_value(payload) {
            Ok(payload) => payload,
            Err(error) => panic!("the payload of {job_type} cannot be written as JSON: {error}"),
        };
        let (job_id, idempotency_key, correlation_id) = (None, None, None);
        let job = JobBody { job_type, schema_version, job_id, idempotency_key, correlation_id, payload };
        TestMessage::new(self.0.clone(), Content::Job(job))
    }
}

impl fmt::Debug for Tester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tester").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}
