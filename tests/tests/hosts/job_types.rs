//! Job types that set their own timeout, attempts and retries in code, in both hosts on a paused clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::core::{LedgerEvent, Outcome, Policy};
use drumline::message::Intake;
use drumline::run::{Event, Observer};
use drumline::{Context, Failure, Job, RetryPolicy, Router};
use drumline_runtime::{Settings, StoreOutage};
use drumline_tests::ModelQueue;
use tokio::time::Instant;

use crate::function::TestFunction;
use crate::running::{Consumer, in_memory};

const LEASE: Duration = Duration::from_secs(30);
/// More than the attempts of any type.
const RECEIVES: u32 = 8;

#[derive(serde::Deserialize)]
struct Quick {}

impl Job for Quick {
    const TYPE: &'static str = "quick";
    const TIMEOUT: Option<Duration> = Some(Duration::from_secs(5));
    const MAX_ATTEMPTS: Option<u32> = Some(3);

    fn retry() -> Option<RetryPolicy> {
        let policy: RetryPolicy = "schedule(10s)".parse().unwrap();
        Some(policy.with_jitter(drumline::core::JitterMode::None))
    }
}

/// A job without values of its own.
#[derive(serde::Deserialize)]
struct Plain {}

impl Job for Plain {
    const TYPE: &'static str = "plain";
}

/// Returns a router whose quick jobs never end by themselves, and whose plain ones fail five times.
fn router() -> Router {
    let hangs = |context: Context, _: Quick| async move {
        assert!(context.deadline() <= Instant::now().into_std() + Duration::from_secs(5));
        std::future::pending().await
    };
    let fails = |context: Context, _: Plain| async move {
        if context.attempt().get() <= 5 { Err(Failure::retry("not yet")) } else { Ok(()) }
    };
    Router::new().handle(hangs).handle(fails)
}

fn as_set(policy_of_test: &mut Policy) {
    let environment = |name: &str| match name {
        "DRUMLINE_QUEUE_URL" => Some("http://localhost/1/jobs".to_owned()),
        "DRUMLINE_RETRY" => Some("schedule(1s)".to_owned()),
        "DRUMLINE_RETRY_JITTER" => Some("none".to_owned()),
        _ => None,
    };
    let settings = Settings::read(&BTreeMap::new(), environment, None).unwrap();
    let of_types = settings.queues[0].with_types_of(&router());
    let set = of_types.policy("jobs", StoreOutage::Retry, None);
    policy_of_test.handler_timeout_by_type = set.handler_timeout_by_type;
    policy_of_test.max_attempts_by_type = set.max_attempts_by_type;
    policy_of_test.retry = set.retry;
    policy_of_test.retry_by_type = set.retry_by_type;
}

/// The type, the attempt, the duration and the outcome of each run.
#[derive(Default)]
struct Runs(Mutex<Vec<(String, u32, u64, Outcome)>>);

impl Observer for Runs {
    fn observe(&self, event: &Event<'_>) {
        if let Event::Ledger { note: LedgerEvent::Decided { run: Some(run), outcome, .. }, .. } = *event
            && run.ending.ran()
        {
            let job_type = run.job_type.as_deref().unwrap_or_default().to_owned();
            let run = (job_type, run.attempt.get(), run.took.as_secs(), outcome.clone());
            self.0.lock().unwrap().push(run);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_types_code_sets_timeout_attempts_and_waits_in_both_hosts() {
    let wait = |secs| Outcome::RetryAfter(Duration::from_secs(secs));
    // One second after its timeout a handler that does not stop is dropped.
    let quick = |attempt, outcome| ("quick".to_owned(), attempt, 6, outcome);
    let plain = |attempt, outcome| ("plain".to_owned(), attempt, 0, outcome);
    for host in ["consumer", "function"] {
        let (model, claim_store) = (ModelQueue::new("jobs", LEASE, RECEIVES), in_memory());
        let seen = Arc::new(Runs::default());
        let observer = Arc::clone(&seen);
        let intake = Intake::new("arn:test");
        model.send(r#"{"type":"quick","payload":{}}"#, None);
        model.send(r#"{"type":"plain","payload":{}}"#, None);
        if host == "consumer" {
            let consumer = Consumer::of_service(&model, router(), as_set, observer, claim_store, intake);
            model.drained().await;
            consumer.stop().await;
        } else {
            let function = TestFunction {
                queue: model.clone(),
                router: router(),
                change: as_set,
                observer,
                claim_store,
                intake,
            };
            function.until_drained().await;
        }
        let mut runs = std::mem::take(&mut *seen.0.lock().unwrap());
        runs.sort_by_key(|(job_type, attempt, ..)| (job_type.clone(), *attempt));
        let last = Outcome::DeadLetter("attempt 3 of 3: the attempt's time was over".to_owned());
        let expected = [
            plain(1, wait(1)),
            plain(2, wait(1)),
            plain(3, wait(1)),
            plain(4, wait(1)),
            plain(5, wait(1)),
            plain(6, Outcome::Ack),
            quick(1, wait(10)),
            quick(2, wait(10)),
            quick(3, last),
        ];
        assert_eq!(runs, expected, "{host}");
        assert_eq!(model.dead().len(), 1, "{host}: by the redrive policy");
    }
}
