//! Tests of batch handlers in a whole worker whose store fails.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::Router;
use drumline::batch::{BatchContext, BatchOptions, Item, Rest};
use drumline::core::Outcome;
use drumline_store::JobState;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::{Call, FailingStore, LocalQueue};

#[derive(Serialize, Deserialize)]
struct Row {
    number: usize,
}

impl drumline::Job for Row {
    const TYPE: &'static str = "row";
}

type Seen = Arc<Mutex<Vec<Vec<usize>>>>;

fn router(seen: &Seen) -> Router {
    let seen = Arc::clone(seen);
    Router::new().handle_batch(BatchOptions::new(), move |_: BatchContext, items: Vec<Item<Row>>| {
        let mut rows: Vec<usize> = items.iter().map(|item| item.job.number).collect();
        rows.sort_unstable();
        seen.lock().unwrap().push(rows);
        async {
            sleep(Duration::from_secs(1)).await;
            Ok(Rest::Done)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn failed_or_unanswered_store_calls_repeat_no_row() {
    for call in [Call::Claim, Call::Finish] {
        for is_lost in [false, true] {
            let (seen, store) = (Seen::default(), Arc::new(FailingStore::in_memory()));
            if is_lost {
                store.lose_next_answers(call, 3)
            } else {
                store.fail_next(call, 3)
            };
            let local = LocalQueue::start(router(&seen)).store(Arc::clone(&store) as _).await;
            let ids: Vec<_> = (0..8).map(|number| local.send(&Row { number })).collect();
            local.until_idle().await;
            let mut rows: Vec<usize> = seen.lock().unwrap().iter().flatten().copied().collect();
            rows.sort_unstable();
            assert_eq!(rows, (0..8).collect::<Vec<_>>(), "{call:?} {is_lost}: {seen:?}");
            for id in ids {
                assert_eq!(local.runs_of(&id).last().unwrap().outcome, Outcome::Ack, "{call:?}");
                assert_eq!(local.job_record(&id).await.unwrap().claim.unwrap().state, JobState::Done);
            }
            assert!(store.is_through(), "{call:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn late_claims_delay_a_batch_by_its_linger_at_most() {
    let (seen, store) = (Seen::default(), Arc::new(FailingStore::in_memory()));
    store.delay_next(Call::Claim, 2, Duration::from_millis(500));
    let local = LocalQueue::start(router(&seen)).store(Arc::clone(&store) as _).await;
    (0..6).for_each(|number| drop(local.send(&Row { number })));
    local.until_idle().await;
    let sizes: Vec<usize> = seen.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes, [4, 2]);
}

#[tokio::test(start_paused = true)]
async fn rows_are_marked_after_an_outage_during_their_batch() {
    let (seen, store) = (Seen::default(), Arc::new(FailingStore::in_memory()));
    let local = LocalQueue::start(router(&seen)).store(Arc::clone(&store) as _).await;
    (0..6).for_each(|number| drop(local.send(&Row { number })));
    sleep(Duration::from_millis(500)).await;
    assert_eq!(*seen.lock().unwrap(), [[0, 1, 2, 3, 4, 5]]);
    store.stop();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(local.left().len(), 6, "no message is deleted without its mark");
    store.start();
    local.until_idle().await;
    assert_eq!(seen.lock().unwrap().len(), 1, "no row runs again");
}
