//! Batches that start late in their invocation, on a paused clock.

use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Action, Ledger, Policy, Replies};
use drumline::message::{Intake, Message};
use drumline::run::NoopObserver;
use drumline::{Context, Job, Router};
use drumline_lambda::{batch_policy, run_batch};
use drumline_runtime::payload::Payloads;
use drumline_runtime::{BoxFuture, Driver, DriverConfig, FifoStop, Queue, SqsError};
use drumline_tests::ModelQueue;
use tokio::runtime::Handle;
use tokio::time::{Instant, advance};

const LEASE: Duration = Duration::from_secs(600);

#[derive(serde::Deserialize)]
struct Slow {}

impl Job for Slow {
    const TYPE: &'static str = "slow";
}

/// An SQS that never responds.
struct Hanging;

impl Queue for Hanging {
    fn receive(&self, _max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        Box::pin(std::future::pending())
    }

    fn perform(&self, _action: Action) -> BoxFuture<Replies> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_starts_after_its_handlers_time_ends_in_time() {
    let model = ModelQueue::new("jobs", LEASE, 5);
    model.send(r#"{"type":"slow","payload":{}}"#, None);
    let messages = model.messages_now(10);
    let router = Router::new().handle(|_: Context, _: Slow| async {
        std::future::pending::<()>().await;
        Ok(())
    });
    let mut driver = Driver::new(DriverConfig {
        name: Arc::from("jobs"),
        intake: Arc::new(Intake::new("arn:test")),
        ledger: Ledger::new(batch_policy(Policy::new(LEASE), FifoStop::Group)).unwrap(),
        queue: Arc::new(Hanging),
        router: Arc::new(router),
        observer: Arc::new(NoopObserver),
        status: Arc::default(),
        claim_store: None,
        payloads: Payloads::default(),
        next_jobs: None,
        limits: None,
        handlers: Handle::current(),
    });
    let begun = Instant::now();
    let (drain_at, end_at) = (begun + Duration::from_secs(1), begun + Duration::from_secs(11));
    advance(Duration::from_millis(10_500)).await;
    let report = run_batch(&mut driver, messages, drain_at, end_at).await;
    assert!(report.deletable.is_empty());
    assert!(Instant::now() <= end_at + Duration::from_millis(2), "{:?} after", end_at.elapsed());
}
