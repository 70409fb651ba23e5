#![allow(clippy::unwrap_used)]
use super::*;
use crate::core::{CancelReason, DuplicateCause, Ending, FailureClass, Outcome, UnknownType};
use crate::{Context, Failure, Job, RetryPolicy, Router};
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::future::IntoFuture;
use std::time::Duration;

#[derive(serde::Serialize, serde::Deserialize, Clone)]
struct Copy {
    records: u64,
    key: Option<String>,
}

impl Job for Copy {
    const TYPE: &'static str = "copy";
    const VERSION: u32 = 2;

    fn idempotency_key(&self) -> Option<String> {
        self.key.clone()
    }
}

fn copy(records: u64) -> Copy {
    Copy { records, key: None }
}

fn keyed(records: u64) -> Copy {
    Copy { key: Some("all".into()), ..copy(records) }
}

fn now(message: TestMessage) -> TestRun {
    message.into_future().now_or_never().expect("nothing to wait for")
}

/// Copies record by record, and returns once it is asked to stop.
async fn polite(ctx: Context, job: Copy) -> Result<(), Failure> {
    for record in ctx.resume().unwrap_or(0)..job.records {
        if let Some(reason) = ctx.cancel_reason() {
            return Err(Failure::retry(format_args!("stopped at {record}: {reason:?}")));
        }
        ctx.checkpoint(&(record + 1))?;
        ctx.progress(record + 1, job.records, "records");
    }
    ctx.set_result(&job.records)
}

fn tester<F, Fut>(handler: F) -> Tester
where
    F: Fn(Context, Copy) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Failure>> + Send + 'static,
{
    Tester::new(Router::new().handle(handler))
}

fn retry(text: &str) -> RetryPolicy {
    text.parse().unwrap()
}

fn after(secs: u64) -> Outcome {
    Outcome::RetryAfter(Duration::from_secs(secs))
}

#[test]
fn a_run_reports_everything() {
    let run = now(tester(polite).job(&copy(3)));
    assert!(run.is_done() && run.ran() && !run.is_dead(), "{run}");
    assert_eq!((run.ending(), run.outcome(), run.reason()), (&Ending::Done, &Outcome::Ack, None));
    assert_eq!(run.progress().iter().map(|progress| progress.done).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((run.checkpoint(), run.result()), (Some(3), Some(3)));
    assert_eq!((run.attempt(), run.job_type(), run.message().receive_count), (1, Some("copy"), 1));
    assert_eq!(
        run.to_string(),
        "copy, message message-1, attempt 1: done; progress 3 of 3 records; checkpoint 3; result 3"
    );
}

#[test]
fn a_body_is_decoded_as_sqs_delivers_it() {
    let tester = tester(polite);
    let typed = tester.clone().intake(|intake| intake.default_type = Some("copy".into()));
    let run = now(typed.body(r#"{"records":1}"#));
    assert!(run.reason().unwrap().contains("version 1 is too old"), "{run}");
    let run = now(tester.body("nonsense"));
    assert_eq!(run.ending().class(), Some(FailureClass::InvalidPayload), "{run}");
    assert!(run.is_dead() && !run.ran());
    let run = now(tester.body(r#"{"type":"copy","schemaVersion":2,"payload":{}}"#));
    assert!(run.reason().unwrap().contains("missing field `records`"), "{run}");
    let unknown = || tester.body(r#"{"type":"move","payload":{}}"#);
    assert_eq!(*now(unknown()).outcome(), after(1));
    let run = now(tester.payload("copy", &json!({ "records": 2 })));
    assert!(run.is_done(), "{run}");

    let strict = tester.policy(|policy| policy.unknown_type = UnknownType::Reject);
    assert!(now(strict.body(r#"{"type":"move","payload":{}}"#)).is_dead());
}

#[test]
fn a_handler_sees_its_message_as_from_a_host() {
    let tester = tester(|ctx: Context, _: Copy| async move {
        assert_eq!((ctx.queue(), ctx.job_id(), ctx.idempotency_key()), ("reports", "j-1", "k-1"));
        assert_eq!((ctx.correlation_id(), ctx.attribute("tenant")), ("c-1", Some("blue")));
        assert_eq!((&*ctx.message().id, ctx.message().receive_count), ("m-7", 4));
        assert_eq!(ctx.message().group.as_deref(), Some("g"));
        assert_eq!((ctx.attempt().get(), ctx.max_receives().unwrap().get()), (4, 9));
        assert_eq!(ctx.extension::<String>().unwrap(), "a pool");
        Ok(())
    });
    let tester = tester.extension("a pool".to_owned()).max_receive_count(9);
    let message = tester.job(&copy(1)).queue("reports").job_id("j-1").idempotency_key("k-1");
    let message = message.correlation_id("c-1").attribute("tenant", "blue").message_id("m-7").group("g");
    let run = now(message.receive_count(4).sent_at(Duration::from_secs(9)));
    assert!(run.is_done(), "{run}");
}

#[test]
fn the_same_job_again_is_the_same_message_until_it_is_done() {
    let tester = tester(|ctx: Context, _: Copy| async move {
        let before: u32 = ctx.resume().unwrap_or(0);
        ctx.checkpoint(&(before + 1))?;
        if before < 2 { Err(Failure::retry("not yet")) } else { ctx.set_result(&before) }
    });
    let tester = tester.retry(retry("schedule(10s,1m)"));
    for (attempt, outcome) in [(1, after(10)), (2, after(60)), (3, Outcome::Ack)] {
        let run = now(tester.job(&keyed(1)));
        assert_eq!((run.attempt(), run.outcome()), (attempt, &outcome), "{run}");
        assert_eq!((&*run.message().id, run.checkpoint()), ("message-1", Some(attempt)));
    }
    let duplicate = now(tester.job(&keyed(1)));
    assert!(duplicate.is_done() && !duplicate.ran(), "{duplicate}");
    assert_eq!(duplicate.reason().unwrap(), "duplicate: done by message message-1 as job message-1");
    assert_eq!(duplicate.result(), Some(2));
    let again = now(tester.job(&keyed(1)).message_id("message-1"));
    let Ending::DoneBefore(prior) = again.ending() else { panic!("{again}") };
    assert_eq!(prior.cause, DuplicateCause::Redelivered);
    let other = now(tester.job(&keyed(2)));
    assert!(other.is_dead() && other.reason().unwrap().contains("another payload"), "{other}");
}

#[test]
fn jobs_without_a_key_are_jobs_of_their_own() {
    let tester = tester(polite);
    let runs = [now(tester.job(&copy(1))), now(tester.job(&copy(1)))];
    assert!(runs.iter().all(|run| run.is_done() && run.ran()), "{runs:?}");
    assert_ne!(runs[0].message().id, runs[1].message().id);
}

#[test]
fn settings_decide_the_outcome() {
    let fails = || tester(|_, _: Copy| async { Err(Failure::retry("no answer")) });
    let run = now(fails().max_attempts(1).job(&copy(1)));
    assert_eq!(*run.outcome(), Outcome::DeadLetter("attempt 1 of 1: no answer".into()));
    assert!(run.is_dead());
    // What fits the default queue's five receives.
    let waits = fails();
    let runs: Vec<_> = (0..5).map(|_| now(waits.job(&copy(1)))).collect();
    let outcomes: Vec<_> = runs.iter().map(|run| run.outcome().clone()).collect();
    assert_eq!(outcomes[..4], [1, 7, 42, 550].map(after));
    assert!(runs[4].is_dead() && !runs[3].is_dead(), "{}", runs[4]);
    assert!(runs[4].to_string().ends_with("; the last receive: SQS moves the message to the DLQ"));
    assert_eq!(now(waits.job(&copy(1))).attempt(), 1, "a new message");

    let spread = fails().retry(retry("exponential(10s,2,5m)"));
    assert_eq!(*now(spread.clone().job(&copy(1))).outcome(), after(10));
    assert_eq!(*now(spread.jitter(0).job(&copy(1))).outcome(), after(0));
}

#[test]
fn a_job_types_own_settings_count() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Slow {}
    impl Job for Slow {
        const TYPE: &'static str = "slow";
        const TIMEOUT: Option<Duration> = Some(Duration::from_secs(7));
        const MAX_ATTEMPTS: Option<u32> = Some(2);
        fn retry() -> Option<RetryPolicy> {
            Some(retry("schedule(20s)"))
        }
    }
    let tester = Tester::new(Router::new().handle(|ctx: Context, _: Slow| async move {
        let left = ctx.deadline() - runtime::machine_time();
        Err(Failure::retry(if left <= Duration::from_secs(7) { "in time" } else { "too long" }))
    }));
    assert_eq!(*now(tester.job(&Slow {})).outcome(), after(20));
    let last = now(tester.job(&Slow {}));
    assert_eq!(last.reason().unwrap(), "attempt 2 of 2: in time", "{last}");
}

#[test]
fn what_failed_permanently_does_not_run_again() {
    let tester = tester(|_, _: Copy| async { Err(Failure::reject("no such thing")) });
    let run = now(tester.job(&keyed(1)).message_id("m"));
    assert!(run.is_dead() && run.ran(), "{run}");
    let again = now(tester.job(&keyed(1)).message_id("m"));
    assert!(again.is_dead() && !again.ran(), "{again}");
    assert_eq!(again.reason().as_deref(), Some("no such thing"));
}

#[test]
fn a_panic_is_an_ending() {
    let run = now(tester(|_, job: Copy| async move { panic!("no record {}", job.records) }).job(&copy(7)));
    assert_eq!(*run.ending(), Ending::Panicked { reason: "no record 7".into() });
    assert_eq!(*run.outcome(), after(1));
    let text = "copy, message message-1, attempt 1: retry after 1s, ending panicked, reason: no record 7";
    assert_eq!(run.to_string(), text);
}

#[test]
fn a_stop_reaches_the_handler_and_decides_how_its_ending_counts() {
    type Stop = fn(TestMessage, At) -> TestMessage;
    let table: [(Stop, CancelReason, Ending, Outcome); 4] = [
        (TestMessage::shut_down, CancelReason::Shutdown, Ending::Interrupted, Outcome::Requeue),
        (TestMessage::time_out, CancelReason::TimedOut, Ending::TimedOut, after(1)),
        (TestMessage::lose_lease, CancelReason::LeaseLost, Ending::LeaseLost, Outcome::LeaseLost),
        (TestMessage::lose_claim, CancelReason::LeaseLost, Ending::LeaseLost, Outcome::LeaseLost),
    ];
    for (stop, reason, ending, outcome) in table {
        let tester = tester(polite).retry(retry("schedule(1s)"));
        for (at, checkpoint) in [(At::Start, None), (At::Progress(2), Some(2))] {
            let run = now(stop(tester.job(&copy(5)).message_id("m"), at));
            assert_eq!((run.ending(), run.outcome()), (&ending, &outcome), "{run}");
            assert_eq!((run.cancelled(), run.was_dropped()), (Some(reason), false));
            assert_eq!(run.checkpoint(), checkpoint, "{run}");
        }
        let next = now(tester.job(&copy(5)).message_id("m"));
        assert!(next.is_done(), "{next}");
        assert_eq!(next.progress()[0].done, 3, "{next}");
        // A time-out is the only one of them that is a failed attempt.
        let failed = if reason == CancelReason::TimedOut { 2 } else { 0 };
        assert!(next.attempt() == failed + 1 || reason == CancelReason::LeaseLost, "{next}");
    }
}

#[test]
fn a_checkpoint_of_another_version_can_be_given() {
    let tester = tester(polite);
    let run = now(tester.job(&copy(9)).checkpoint(&7));
    assert_eq!(run.progress().iter().map(|progress| progress.done).collect::<Vec<_>>(), [8, 9], "{run}");
    let run = now(tester.job(&copy(2)).checkpoint(&json!({ "offset": 3 })));
    assert_eq!(run.progress().len(), 2, "{run}");
}

#[test]
fn the_handlers_own_words_after_a_stop_are_kept() {
    let run = now(tester(polite).job(&copy(9)).shut_down(At::Progress(4)));
    assert_eq!(run.ending(), &Ending::Interrupted);
    assert_eq!(run.handler_ending().reason(), Some("stopped at 4: Shutdown"), "{run}");
}

#[test]
fn a_handler_that_ignores_its_stop_is_dropped() {
    let tester = tester(|_, _: Copy| std::future::pending());
    for at in [At::Start, At::FirstWait] {
        let run = now(tester.job(&copy(1)).shut_down(at));
        assert_eq!((run.ending(), run.was_dropped()), (&Ending::Interrupted, true), "{run}");
        let run = now(tester.job(&copy(2)).time_out(at));
        assert_eq!((run.ending(), run.was_dropped()), (&Ending::TimedOut, true), "{run}");
        assert!(run.to_string().ends_with("; cancelled (TimedOut), handler dropped"), "{run}");
    }
}

#[test]
fn a_handler_that_waits_for_its_stop_returns_by_itself() {
    let tester = tester(|ctx: Context, _: Copy| async move {
        let reason = ctx.cancelled().await;
        Err(Failure::reject(format_args!("cleaned up after {reason:?}")))
    });
    let run = now(tester.job(&copy(1)).shut_down(At::FirstWait));
    assert_eq!((run.is_dead(), run.was_dropped()), (true, false), "{run}");
    assert_eq!(run.reason().as_deref(), Some("cleaned up after Shutdown"));
}

#[test]
fn a_handler_that_finishes_all_the_same_has_done_its_job() {
    let tester = tester(|_, _: Copy| async { Ok(()) });
    assert!(now(tester.job(&keyed(1)).time_out(At::Start)).is_done());
    let lost = now(self::tester(polite).job(&copy(1)).lose_lease(At::Progress(1)));
    assert_eq!((lost.outcome(), lost.is_done()), (&Outcome::LeaseLost, false), "{lost}");

    // With the lease alone lost, the job is marked as done; with the claim, it runs again.
    for (ran, stop) in [(false, TestMessage::lose_lease as fn(_, _) -> _), (true, TestMessage::lose_claim)] {
        let tester = self::tester(polite);
        let run = now(stop(tester.job(&copy(1)), At::Progress(1)));
        assert_eq!(*run.outcome(), Outcome::LeaseLost, "{run}");
        let next = now(tester.job(&copy(1)));
        assert_eq!((next.is_done(), next.ran(), next.attempt() > 0), (true, ran, true), "{next}");
    }
}

#[test]
fn a_stop_that_never_came_is_reported() {
    let run = now(tester(polite).job(&copy(2)).shut_down(At::Progress(9)));
    assert!(run.is_done() && run.cancelled().is_none());
    assert!(run.to_string().ends_with("; not stopped, since it never came to Progress(9)"), "{run}");
    let run = now(tester(polite).job(&copy(2)).stop_when(CancelReason::Shutdown, std::future::pending()));
    assert!(run.to_string().ends_with("; not stopped, since its signal never came"), "{run}");
}

#[test]
fn trouble_with_the_claim_keeps_the_handler_from_running() {
    let tester = tester(polite);
    let busy = now(tester.job(&copy(1)).busy());
    assert!(matches!(busy.ending(), Ending::Busy { .. }), "{busy}");
    assert_eq!((busy.ran(), busy.outcome()), (false, &after(30)));
    assert!(now(tester.job(&copy(1)).locked()).reason().unwrap().contains("lock"));
    let down = now(tester.job(&copy(1)).store_down());
    assert_eq!(down.ending().class(), Some(FailureClass::StoreUnavailable), "{down}");
    let best_effort = tester.policy(|policy| policy.claims = crate::core::Claims::BestEffort);
    assert!(now(best_effort.job(&copy(1)).store_down()).is_done());
}

#[test]
fn runs_at_once_have_one_claim_and_one_lock() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Locked {
        id: u32,
    }
    impl Job for Locked {
        const TYPE: &'static str = "locked";
        fn idempotency_key(&self) -> Option<String> {
            Some(self.id.to_string())
        }
        fn lock(&self) -> Option<String> {
            Some("account:42".into())
        }
    }
    let tester = Tester::new(Router::new().handle(|ctx: Context, _: Locked| async move {
        ctx.cancelled().await;
        Ok(())
    }));
    let mut running = tester.job(&Locked { id: 1 }).message_id("a").into_future();
    assert!(running.as_mut().now_or_never().is_none());
    let same = now(tester.job(&Locked { id: 1 }).message_id("b"));
    assert!(same.reason().unwrap().contains("another worker or message runs the job"), "{same}");
    let other = now(tester.job(&Locked { id: 2 }));
    assert!(other.reason().unwrap().contains("another job has the lock \"account:42\""), "{other}");
    let request = other.claim_request().unwrap();
    assert_eq!((&**request.identity.id(), request.lock.as_deref()), ("2", Some("account:42")));
}

#[test]
fn waits_of_steps_take_no_time_but_count() {
    let tester = tester(|ctx: Context, job: Copy| async move {
        let policy = retry("schedule(1m,1m,1m,1m)").with_jitter(crate::core::JitterMode::None);
        let mut left = job.records;
        let step = || {
            left -= 1;
            async move { if left > 0 { Err(Failure::retry("busy")) } else { Ok(()) } }
        };
        ctx.retry(&policy, step).await
    });
    let minute = Duration::from_secs(60);
    let run = now(tester.job(&copy(3)));
    assert_eq!((run.is_done(), run.waits()), (true, &[minute; 2][..]), "{run}");
    let brief = tester.policy(|policy| policy.handler_timeout = minute * 2);
    let run = now(brief.job(&copy(9)));
    assert_eq!((run.is_done(), run.waits().len()), (false, 1), "{run}");
}

#[test]
fn blocking_work_is_run() {
    let handler = |ctx: Context, job: Copy| ctx.set_result(&(job.records * 2));
    let run = now(Tester::new(Router::new().handle_blocking(handler)).job(&copy(4)));
    assert_eq!(run.result::<Value>(), Some(json!(8)), "{run}");
}

#[test]
#[should_panic(expected = "job type copy: two handlers are registered")]
fn a_router_that_no_host_starts_with_is_refused() {
    let _ = Tester::new(Router::new().handle(polite).handle(polite));
}

#[test]
#[should_panic(expected = "the result 1 is no alloc::string::String")]
fn a_result_of_another_type_is_shown() {
    let _ = now(tester(polite).job(&copy(1))).result::<String>();
}

/// Copies all jobs of a batch at once, but those without records.
async fn copy_all(
    _: crate::batch::BatchContext,
    items: Vec<crate::batch::Item<Copy>>,
) -> crate::batch::BatchResult {
    let records: u64 = items.iter().map(|item| item.job.records).sum();
    for item in &items {
        if item.job.records == 0 {
            item.failed(Failure::reject("there are no records"));
        } else {
            item.context.set_result(&records)?;
        }
    }
    Ok(crate::batch::Rest::Done)
}

#[test]
fn a_batch_handler_runs_several_jobs_together() {
    let options = crate::batch::BatchOptions::new().max_items(3);
    let tester = Tester::new(Router::new().handle_batch(options, copy_all));
    let alone = now(tester.job(&copy(5)));
    assert_eq!((alone.is_done(), alone.result()), (true, Some(5)), "{alone}");

    let jobs = [1, 2, 0, 8].map(|records| tester.job(&copy(records)));
    let runs = tester.together(jobs).now_or_never().expect("nothing to wait for");
    assert_eq!(runs.iter().map(TestRun::result).collect::<Vec<_>>(), [Some(3), Some(3), None, Some(8)]);
    assert!(runs[2].is_dead() && runs[2].reason().unwrap() == "there are no records", "{}", runs[2]);

    // One that is stopped while it waits leaves the batch to the others.
    let jobs = [tester.job(&copy(1)).lose_lease(At::FirstWait), tester.job(&copy(2))];
    let runs = tester.together(jobs).now_or_never().expect("nothing to wait for");
    assert_eq!(
        (runs[0].ending(), runs[1].result()),
        (&Ending::LeaseLost, Some(2)),
        "{} {}",
        runs[0],
        runs[1]
    );
}

#[test]
fn messages_that_run_together_need_no_batch_handler() {
    let tester = tester(polite);
    let runs = tester.together([tester.job(&copy(1)), tester.body("nonsense")]).now_or_never().unwrap();
    assert!(runs[0].is_done() && runs[1].is_dead(), "{runs:?}");
}
