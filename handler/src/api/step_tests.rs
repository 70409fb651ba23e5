#![allow(clippy::unwrap_used)]
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_util::FutureExt;
use serde_json::json;

use super::*;
use crate::Router;
use crate::core::control::{CancelReason, RunControl};
use crate::core::maybe_ready::MaybeReady;
use crate::core::{DeliveryId, Ending};
use crate::message::{Intake, Message};
use crate::run::{Attempt, RunEnvironment};

/// A host whose clock does not move: a wait is over at once, and is recorded.
struct Clock {
    waits: Mutex<Vec<Duration>>,
    left: Duration,
    /// Cancels the run during the wait of this number.
    cancel_at: Option<usize>,
    control: RunControl,
}

impl RunEnvironment for Clock {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }

    fn sleep(&self, time: Duration, _deadline: Instant) -> MaybeReady<'_, bool> {
        let mut waits = self.waits.lock().unwrap();
        waits.push(time);
        if self.cancel_at == Some(waits.len()) {
            self.control.cancel(CancelReason::Shutdown);
            return MaybeReady::later(std::future::pending());
        }
        MaybeReady::now(waits.iter().sum::<Duration>() <= self.left)
    }
}

/// Runs a handler that makes one step after the other, with these results. Returns its ending, and the waits in ms.
#[allow(clippy::disallowed_methods, reason = "a test's own clock")]
fn retried(
    policy: &str,
    results: Vec<Result<(), Failure>>,
    left: Duration,
    cancel_at: Option<usize>,
) -> (Ending, Vec<u128>) {
    let policy: RetryPolicy = policy.parse().unwrap();
    let policy = policy.with_jitter(crate::core::JitterMode::None);
    let results = Arc::new(Mutex::new(results.into_iter()));
    let router = Router::passthrough(move |ctx: Context| {
        let (policy, results) = (policy.clone(), Arc::clone(&results));
        async move { ctx.retry(&policy, || std::future::ready(results.lock().unwrap().next().unwrap())).await }
    });
    let control = RunControl::new();
    let clock = Arc::new(Clock { waits: Mutex::default(), left, cancel_at, control: control.clone() });
    let body = json!({ "type": "a", "payload": {} }).to_string();
    let attempt = Attempt {
        delivery: DeliveryId::default(),
        queue: "jobs".into(),
        intake: Arc::new(Intake::new("arn:jobs")),
        message: Arc::new(Message { id: "m1".into(), body, ..Message::default() }),
        number: NonZeroU32::MIN,
        started_at: Instant::now(),
        deadline: Instant::now() + Duration::from_secs(60),
        latest_deadline: Instant::now() + Duration::from_secs(60),
        claim_length: Duration::from_secs(27),
        permit: None,
        arrival: None,
        control,
        host: Arc::clone(&clock) as Arc<dyn RunEnvironment>,
    };
    let ending = router.run(attempt).now_or_never().expect("nothing to wait for").ending;
    let waits = clock.waits.lock().unwrap().iter().map(Duration::as_millis).collect();
    (ending, waits)
}

fn fails(times: usize) -> Vec<Result<(), Failure>> {
    (1..=times).map(|time| Err(Failure::retry(format_args!("failure {time}")))).collect()
}

fn then_succeeds(mut results: Vec<Result<(), Failure>>) -> Vec<Result<(), Failure>> {
    results.push(Ok(()));
    results
}

fn asked(reason: &str) -> Ending {
    Ending::RetryAsked { after: None, reason: reason.to_owned() }
}

const LONG: Duration = Duration::from_secs(3_600);

#[test]
fn a_step_is_retried_until_it_succeeds() {
    let (ending, waits) = retried("exponential(100ms,2,1s)", then_succeeds(fails(6)), LONG, None);
    assert_eq!((ending, waits), (Ending::Done, vec![100, 200, 400, 800, 1_000, 1_000]));
}

#[test]
fn a_schedule_has_an_end() {
    let (ending, waits) = retried("schedule(200ms,1s)", fails(3), LONG, None);
    assert_eq!((ending, waits), (asked("failure 3"), vec![200, 1_000]));
}

#[test]
fn a_policy_without_an_end_has_one_all_the_same() {
    let (ending, waits) = retried("exponential(0s,1,0s)", fails(101), LONG, None);
    assert_eq!((ending, waits.len()), (asked("failure 101"), 100));
}

#[test]
fn a_wait_beyond_the_deadline_is_not_begun() {
    let (ending, waits) = retried("exponential(100ms,2,1s)", fails(3), Duration::from_millis(500), None);
    assert_eq!((ending, waits), (asked("failure 3"), vec![100, 200, 400]));
}

#[test]
fn a_cancellation_ends_the_wait() {
    let (ending, waits) = retried("exponential(100ms,2,1s)", fails(2), LONG, Some(2));
    assert_eq!((ending, waits), (asked("failure 2"), vec![100, 200]));
}

#[test]
fn a_rejection_is_not_retried() {
    let (ending, waits) = retried("schedule(1s)", vec![Err(Failure::reject("no such user"))], LONG, None);
    assert_eq!((ending, waits), (Ending::Rejected { reason: "no such user".to_owned() }, vec![]));
}

#[test]
fn a_throttled_step_is_left_to_the_limits_of_its_type() {
    let throttled = || Err(Failure::throttled(Duration::from_secs(9), "429"));
    let (ending, waits) = retried("schedule(1s)", vec![throttled(), Ok(())], LONG, None);
    let after = Some(Duration::from_secs(9));
    assert_eq!((ending, waits), (Ending::Throttled { after, reason: "429".to_owned() }, vec![]));
}

#[test]
fn a_delay_that_the_failure_asks_for_counts_if_it_is_longer() {
    let after = |millis| Err(Failure::retry_after(Duration::from_millis(millis), "busy"));
    let (ending, waits) = retried("schedule(1s,1s,1s)", vec![after(10), after(3_000), Ok(())], LONG, None);
    assert_eq!((ending, waits), (Ending::Done, vec![1_000, 3_000]));
}
