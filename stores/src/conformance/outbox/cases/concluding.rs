//! Conclusions of jobs that relays have taken.

use std::time::Duration;

use crate::conformance::outbox::OutboxWorld;
use crate::conformance::outbox::steps::*;
use crate::outbox::RowState;
use tokio::time::Instant;

pub async fn a_job_that_was_sent_is_gone(world: OutboxWorld) {
    let outbox = world.outbox().await;
    outbox.add(&[job("1"), grouped("2", "group")]).await.unwrap();
    let taken = take(&outbox, "relay").await;
    all_sent(&outbox, taken).await;
    assert_eq!(row_ids(&outbox, None).await, [""; 0]);
    assert_nothing(&outbox, "relay").await;
}

pub async fn a_job_that_is_put_back_is_due_again_in_its_time(world: OutboxWorld) {
    let outbox = world.outbox().await;
    outbox.add(&[job("1")]).await.unwrap();
    let begun = Instant::now();
    let taken = take(&outbox, "relay").await;
    conclude(&outbox, &taken.into_iter().map(|taken| later(taken, SHORT)).collect::<Vec<_>>()).await;
    let again = taken_in_time(&outbox, "relay", 1).await;
    assert!(begun.elapsed() >= MOST_OF_SHORT, "{:?}", begun.elapsed());
    assert_eq!(again[0].failures, 1);
    let row = rows(&outbox, None).await.pop().unwrap();
    assert_eq!((row.state, row.failures), (RowState::Waiting, 1));
    assert_eq!(row.reason.as_deref(), Some("it \"failed\""), "people see why it waits");
    all_sent(&outbox, again).await;
}

pub async fn a_job_that_is_put_back_for_no_time_is_due_at_once(world: OutboxWorld) {
    let outbox = world.outbox().await;
    outbox.add(&[job("1")]).await.unwrap();
    for _ in 0..3 {
        let taken = take(&outbox, "relay").await;
        assert_eq!(taken[0].failures, 0, "it was not its own failure");
        conclude(&outbox, &taken.into_iter().map(held_up).collect::<Vec<_>>()).await;
    }
    assert_eq!(drain(&outbox, "relay", 1).await, ["1"]);
}

pub async fn a_parked_job_waits_for_an_operator(world: OutboxWorld) {
    let outbox = world.outbox().await;
    outbox.add(&jobs(&["1", "2"])).await.unwrap();
    let taken = take(&outbox, "relay").await;
    conclude(&outbox, &taken.into_iter().map(parked).collect::<Vec<_>>()).await;
    assert_nothing(&outbox, "relay").await;
    let shown = rows(&outbox, RowState::Parked).await;
    assert_eq!(shown.len(), 2);
    assert_eq!(shown[0].reason.as_deref(), Some("it's \"odd\""));
    assert_eq!(outbox.lag().await.unwrap().parked, 2);
    assert_eq!(outbox.retry(&named(&["1", "3"])).await, Ok(1));
    assert_eq!(drain(&outbox, "relay", 1).await, ["1"]);
    assert_eq!(outbox.remove(&named(&["2", "3"])).await, Ok(1));
    assert_eq!(row_ids(&outbox, None).await, [""; 0]);
    assert_nothing(&outbox, "relay").await;
}

pub async fn a_job_that_was_sent_is_kept_for_its_time(world: OutboxWorld) {
    let outbox = world.outbox_keeping(SHORT).await;
    outbox.add(&[job("1"), grouped("2", "group")]).await.unwrap();
    let now = outbox.now_ms().await.unwrap();
    assert_eq!(drain(&outbox, "relay", 2).await.len(), 2);
    let shown = rows(&outbox, RowState::Sent).await;
    for row in &shown {
        assert_eq!(row.message_id, Some(format!("message of {}", row.job.id)));
        assert!(row.sent_ms.unwrap().abs_diff(now) < 10_000, "{:?} and {now}", row.sent_ms);
    }
    assert_nothing(&outbox, "relay").await;
    assert_eq!(outbox.remove(&named(&["1"])).await, Ok(0));
    eventually("jobs that were sent are removed", async || {
        // The outbox removes sent jobs during other calls.
        assert_nothing(&outbox, "relay").await;
        row_ids(&outbox, None).await.is_empty()
    })
    .await;
    outbox.add(&[job("1")]).await.unwrap();
    assert_eq!(drain(&outbox, "relay", 1).await, ["1"]);
}

pub async fn a_conclusion_that_is_repeated_changes_nothing(world: OutboxWorld) {
    let outbox = world.outbox_keeping(LONG).await;
    outbox.add(&[job("1"), grouped("2", "group")]).await.unwrap();
    let taken = take(&outbox, "relay").await;
    let put_back: Vec<_> = taken.clone().into_iter().map(|taken| later(taken, SHORT)).collect();
    conclude(&outbox, &put_back).await;
    // The answer was lost; the count may or may not include these jobs.
    outbox.conclude(&put_back).await.unwrap();
    let again = taken_in_time(&outbox, "relay", 2).await;
    assert!(again.iter().all(|taken| taken.failures == 1), "{again:?}");
    // The first conclusion arrives late and again: the jobs are now in hand.
    assert_eq!(outbox.conclude(&put_back).await, Ok(2));
    assert_nothing(&outbox, "relay").await;
    let all: Vec<_> = again.clone().into_iter().map(sent).collect();
    conclude(&outbox, &all).await;
    outbox.conclude(&all).await.unwrap();
    outbox.conclude(&again.into_iter().map(parked).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(row_ids(&outbox, RowState::Sent).await.len(), 2);
    assert_nothing(&outbox, "relay").await;
}

pub async fn a_job_that_was_removed_is_not_concluded(world: OutboxWorld) {
    let outbox = world.outbox().await;
    outbox.add(&[job("1"), grouped("2", "group")]).await.unwrap();
    let taken = take(&outbox, "relay").await;
    assert_eq!(outbox.remove(&named(&["1", "2"])).await, Ok(2));
    outbox
        .conclude(&taken.into_iter().map(|taken| later(taken, Duration::ZERO)).collect::<Vec<_>>())
        .await
        .unwrap();
    assert_nothing(&outbox, "relay").await;
    assert_eq!(row_ids(&outbox, None).await, [""; 0]);
    // The job's group continues.
    outbox.add(&[grouped("3", "group")]).await.unwrap();
    assert_eq!(drain(&outbox, "relay", 1).await, ["3"]);
}
