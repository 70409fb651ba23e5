use std::time::Duration;

use drumline::core::Outcome;
use drumline::{Context, Failure, Job, RetryPolicy, Router};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::{At, TOKIO, Tester, with_context};

/// A job that waits this many seconds.
#[derive(Serialize, Deserialize)]
struct Wait {
    secs: u64,
}

impl Job for Wait {
    const TYPE: &'static str = "wait";
}

fn tester<Fut>(handler: impl Fn(Context, Wait) -> Fut + Send + Sync + 'static) -> Tester
where
    Fut: Future<Output = Result<(), Failure>> + Send + 'static,
{
    Tester::new(Router::new().handle(handler)).on(TOKIO)
}

#[tokio::test(start_paused = true)]
async fn a_handler_waits_on_the_tests_clock() {
    let begun = Instant::now();
    let tester = tester(async |ctx: Context, job: Wait| {
        let left = ctx.deadline().duration_since(Instant::now().into_std());
        sleep(Duration::from_secs(job.secs)).await;
        ctx.set_result(&left.as_secs())
    });
    let run = tester
        .policy(|policy| policy.handler_timeout = Duration::from_secs(600))
        .job(&Wait { secs: 60 })
        .await;
    assert!(run.is_done(), "{run}");
    assert_eq!((begun.elapsed(), run.result()), (Duration::from_secs(60), Some(600_u64)));
}

#[tokio::test(start_paused = true)]
async fn waits_between_steps_pass_on_the_tests_clock() {
    let begun = Instant::now();
    let tester = tester(async |ctx: Context, job: Wait| {
        let policy: RetryPolicy = "schedule(1m,5m)".parse().map_err(Failure::reject)?;
        let mut tries = 0;
        ctx.retry(&policy, || {
            tries += 1;
            let result = if tries > job.secs { Ok(()) } else { Err(Failure::retry("not yet")) };
            async { result }
        })
        .await
    });
    let run = tester.job(&Wait { secs: 2 }).await;
    assert!(run.is_done(), "{run}");
    assert!(begun.elapsed() >= Duration::from_secs(180), "{:?}", begun.elapsed());
    assert_eq!(run.waits().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_handler_has_a_second_to_return() {
    let begun = Instant::now();
    let slow = tester(async |ctx: Context, job: Wait| {
        ctx.cancelled().await;
        sleep(Duration::from_secs(job.secs)).await;
        Err(Failure::reject("cleaned up"))
    });
    let dropped = slow.job(&Wait { secs: 5 }).shut_down(At::FirstWait).await;
    assert_eq!((dropped.outcome(), dropped.was_dropped()), (&Outcome::Requeue, true), "{dropped}");
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
    let returns = slow.job(&Wait { secs: 0 }).shut_down(At::FirstWait).await;
    assert!(returns.is_dead() && !returns.was_dropped(), "{returns}");
}

#[tokio::test]
async fn blocking_work_has_a_thread_of_its_own() {
    let here = std::thread::current().id();
    let run = with_context(async move |ctx| {
        let there = ctx.blocking(|| Ok(std::thread::current().id())).await?;
        assert_ne!(here, there);
        Ok(())
    });
    let run = run.await;
    assert!(run.is_done(), "{run}");
}
