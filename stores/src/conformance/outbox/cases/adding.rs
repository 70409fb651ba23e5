//! Adding jobs.

use std::sync::Arc;
use std::time::Duration;

use crate::StoreError;
use crate::conformance::outbox::OutboxWorld;
use crate::conformance::outbox::steps::*;
use crate::outbox::{Due, OutboxJob, RowState};
use tokio::time::Instant;

/// Returns a job with all fields set.
fn whole(id: &str) -> OutboxJob {
    OutboxJob {
        schema_version: 3,
        queue: Some("https://sqs.eu-west-1.amazonaws.com/123456789012/jobs".to_owned()),
        group: Some("group".to_owned()),
        idempotency_key: Some("once".to_owned()),
        correlation_id: Some("order-1".to_owned()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        attributes: [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "ö \"2\"".to_owned())].into(),
        ..job(id)
    }
}

pub async fn a_job_is_taken_as_it_was_added(world: OutboxWorld) {
    let outbox = world.outbox().await;
    outbox.add(&[whole("whole"), job("bare")]).await.unwrap();
    let before = outbox.now_ms().await.unwrap();
    let mut taken = take(&world.outbox().await, "relay").await;
    taken.sort_by(|one, other| one.job.id.cmp(&other.job.id));
    assert_eq!(sorted(&taken), ["bare", "whole"]);
    for (taken, added) in taken.iter().zip([job("bare"), whole("whole")]) {
        assert_eq!(due(taken.job.clone(), Due::Now), added);
        assert_eq!(taken.failures, 0);
        let added_ms = taken.added_ms.unwrap();
        assert!(before.abs_diff(added_ms) < 5_000, "{added_ms} and {before}");
        assert!(taken.lease.left <= LONG && taken.lease.left > LONG / 2, "{:?}", taken.lease);
    }
    for row in rows(&outbox, None).await {
        let added = if row.job.id == "bare" { job("bare") } else { whole("whole") };
        assert_eq!(due(row.job.clone(), Due::Now), added);
        assert_eq!((row.state, row.sent_ms, row.failures), (RowState::Waiting, None, 0));
        assert_eq!((row.message_id, row.reason), (None, None));
        assert!(before.abs_diff(row.added_ms) < 5_000, "{} and {before}", row.added_ms);
        assert_eq!(row.due_ms, row.added_ms);
    }
}

pub async fn a_job_that_is_added_twice_is_there_once(world: OutboxWorld) {
    let outbox = world.outbox_keeping(LONG).await;
    let other = OutboxJob { payload: "2".to_owned(), ..job("1") };
    outbox.add(&[job("1"), other.clone()]).await.unwrap();
    outbox.add(std::slice::from_ref(&other)).await.unwrap();
    let taken = take(&outbox, "relay").await;
    assert_eq!(ids(&taken), ["1"]);
    assert_eq!(taken[0].job.payload, job("1").payload);
    // The job stays known after it was taken, parked or sent.
    outbox.add(std::slice::from_ref(&other)).await.unwrap();
    assert_nothing(&outbox, "relay").await;
    conclude(&outbox, &taken.into_iter().map(parked).collect::<Vec<_>>()).await;
    outbox.add(std::slice::from_ref(&other)).await.unwrap();
    assert_nothing(&outbox, "relay").await;
    assert_eq!(outbox.retry(&named(&["1"])).await, Ok(1));
    assert_eq!(drain(&outbox, "relay", 1).await, ["1"]);
    outbox.add(std::slice::from_ref(&other)).await.unwrap();
    assert_nothing(&outbox, "relay").await;
    let row = rows(&outbox, None).await.pop().unwrap();
    assert_eq!((row.state, row.job.payload), (RowState::Sent, job("1").payload));
}

pub async fn a_job_that_was_sent_and_removed_may_be_added_again(world: OutboxWorld) {
    let outbox = world.outbox().await;
    for _ in 0..2 {
        outbox.add(&[grouped("1", "group")]).await.unwrap();
        assert_eq!(drain(&outbox, "relay", 1).await, ["1"]);
        assert_nothing(&outbox, "relay").await;
    }
}

pub async fn jobs_are_added_all_or_none(world: OutboxWorld) {
    let outbox = world.outbox().await;
    let refused = outbox.add(&[job("1"), job(&"x".repeat(129)), job("3")]).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_nothing(&outbox, "relay").await;
    assert_eq!(row_ids(&outbox, None).await, [""; 0]);
}

pub async fn jobs_are_due_by_the_clock_of_the_outbox(world: OutboxWorld) {
    let outbox = world.outbox().await;
    let now = outbox.now_ms().await.unwrap();
    let soon = i64::try_from(SHORT.as_millis()).unwrap();
    let added = [
        due(job("now"), Due::Now),
        due(job("past"), Due::AtMs(now - 60_000)),
        due(job("at"), Due::AtMs(now + soon)),
        due(job("after"), Due::After(SHORT)),
        due(job("tomorrow"), Due::After(Duration::from_secs(24 * 60 * 60))),
        due(job("next year"), Due::AtMs(now + 365 * 24 * 60 * 60 * 1_000)),
    ];
    outbox.add(&added).await.unwrap();
    let begun = Instant::now();
    let mut came = take(&outbox, "relay").await;
    assert!(ids(&came).contains(&"now") && ids(&came).contains(&"past"), "{:?}", ids(&came));
    if begun.elapsed() < SHORT / 2 {
        assert_eq!(sorted(&came), ["now", "past"]);
    }
    let missing = 4 - came.len();
    came.extend(taken_in_time(&outbox, "relay", missing).await);
    assert_eq!(sorted(&came), ["after", "at", "now", "past"]);
    assert!(outbox.now_ms().await.unwrap() >= now + soon);
    assert_nothing(&outbox, "relay").await;
    let rows = rows(&outbox, None).await;
    let due_of = |id: &str| rows.iter().find(|row| row.job.id == id).unwrap().due_ms;
    assert_eq!(due_of("next year"), now + 365 * 24 * 60 * 60 * 1_000);
    assert_eq!(due_of("at"), now + soon);
    let tomorrow = due_of("tomorrow") - now;
    assert!((86_400_000..86_460_000).contains(&tomorrow), "{tomorrow}");
    // A job whose time has passed does not count as late for the time before it was added.
    assert!(due_of("past") >= now - 1_000, "{}", due_of("past"));
}

pub async fn nothing_may_be_added(world: OutboxWorld) {
    let outbox = world.outbox().await;
    assert_eq!(outbox.add(&[]).await, Ok(()));
    assert_eq!(outbox.conclude(&[]).await, Ok(0));
    assert_eq!(outbox.retry(&[]).await, Ok(0));
    assert_eq!(outbox.remove(&[]).await, Ok(0));
    assert_eq!(outbox.leave("relay").await, Ok(()));
    assert_eq!(outbox.states().await, Ok(vec![]));
    assert_eq!(outbox.take("relay", 0, LONG).await.unwrap(), []);
    assert_nothing(&outbox, "relay").await;
}

pub async fn a_wait_ends_when_a_job_is_added(world: OutboxWorld) {
    let (outbox, adder) = (world.outbox().await, world.outbox().await);
    let begun = Instant::now();
    let adding = tokio::spawn(async move {
        tokio::time::sleep(SHORT).await;
        adder.add(&[job("1")]).await.unwrap();
    });
    let mut taken = take(&outbox, "relay").await;
    while taken.is_empty() {
        // The wait may end without a reason.
        outbox.wait(PATIENCE).await;
        taken = take(&outbox, "relay").await;
    }
    assert_eq!(ids(&taken), ["1"]);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    adding.await.unwrap();
}

pub async fn a_wait_ends_when_a_job_is_due(world: OutboxWorld) {
    let outbox: Arc<_> = world.outbox().await;
    let begun = Instant::now();
    outbox.add(&[due(job("1"), Due::After(SHORT))]).await.unwrap();
    let mut taken = take(&outbox, "relay").await;
    while taken.is_empty() {
        outbox.wait(PATIENCE).await;
        taken = take(&outbox, "relay").await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
