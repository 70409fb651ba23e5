#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Ending, Outcome};
use drumline::{Context, Failure, Job, Router};
use drumline_store::JobState;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::{Call, FailingStore, LocalQueue, LocalRun};

#[derive(Serialize, Deserialize)]
struct Work;

impl Job for Work {
    const TYPE: &'static str = "work";
}

/// Returns a router with a handler that runs for this time, saves a checkpoint and reports progress.
fn router(length: Duration) -> Router {
    Router::new().handle(move |ctx: Context, _: Work| async move {
        ctx.progress(1, 2, "steps");
        ctx.checkpoint(&1)?;
        sleep(length).await;
        Ok::<(), Failure>(())
    })
}

async fn local(store: &Arc<FailingStore>) -> LocalQueue {
    local_of(Duration::from_secs(10), store).await
}

async fn local_of(length: Duration, store: &Arc<FailingStore>) -> LocalQueue {
    LocalQueue::start(router(length)).store(Arc::clone(store) as _).await
}

#[tokio::test(start_paused = true)]
async fn a_failed_or_unanswered_store_call_causes_no_second_run() {
    let calls = [Call::Claim, Call::Renew, Call::Finish, Call::Checkpoint, Call::Progress];
    for call in calls {
        for is_lost in [false, true] {
            let store = Arc::new(FailingStore::in_memory());
            if is_lost {
                store.lose_next_answers(call, 1)
            } else {
                store.fail_next(call, 1)
            };
            // Long enough for one renewal of the claim.
            let local = local_of(Duration::from_secs(60), &store).await;
            let id = local.send(&Work);
            local.until_idle().await;
            let runs = local.runs_of(&id);
            assert_eq!(runs.iter().filter(|run| run.ran()).count(), 1, "{call:?}: {runs:?}");
            assert_eq!(runs.last().unwrap().outcome, Outcome::Ack, "{call:?}: {runs:?}");
            let record = local.job_record(&id).await.unwrap();
            assert_eq!(record.claim.unwrap().state, JobState::Done, "{call:?}");
            assert!(store.is_through(), "{call:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_counts_no_attempt() {
    let store = Arc::new(FailingStore::in_memory());
    store.stop();
    let local = local(&store).await;
    let id = local.send(&Work);
    sleep(Duration::from_secs(300)).await;
    let runs = local.runs_of(&id);
    assert!(!runs.iter().any(LocalRun::ran), "{runs:?}");
    store.start();
    local.until_idle().await;
    let runs = local.runs_of(&id);
    assert_eq!(runs.iter().filter(|run| run.ran()).count(), 1, "{runs:?}");
    assert!(matches!(runs[0].ending, Some(Ending::StoreUnavailable { .. })), "{}", runs[0]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_slow_delays_the_run() {
    let store = Arc::new(FailingStore::in_memory());
    store.delay_next(Call::Claim, 1, Duration::from_secs(5));
    let local = local(&store).await;
    let begun = Instant::now();
    let id = local.send(&Work);
    local.until_idle().await;
    assert!((15..17).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(local.runs_of(&id).len(), 1);
    assert!(store.is_through());
}

#[tokio::test(start_paused = true)]
async fn a_refused_result_is_left_out() {
    let store = Arc::new(FailingStore::in_memory());
    store.refuse_next(Call::Finish, 1);
    let local = local(&store).await;
    let id = local.send(&Work);
    local.until_idle().await;
    assert_eq!(local.runs_of(&id).len(), 1);
    assert!(store.is_through());
}
