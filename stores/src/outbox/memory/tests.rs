//! The clock and the waits, which only this outbox has. The conformance suite covers the rest.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use tokio::time::Instant;

use super::*;
use crate::outbox::Due;

const LEASE: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(24 * 60 * 60);
const START: i64 = 1_700_000_000_000;

fn outbox() -> Arc<MemoryOutbox> {
    Arc::new(MemoryOutbox::with_clock(Duration::ZERO, START))
}

fn job(id: &str, due: Due) -> OutboxJob {
    OutboxJob { due, ..OutboxJob::new(id, "t", "{}") }
}

async fn taken(outbox: &MemoryOutbox) -> Vec<String> {
    let jobs = outbox.take("relay", 10, LEASE).await.unwrap();
    jobs.into_iter().map(|job| job.job.id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_a_job_is_added() {
    let outbox = outbox();
    let waiting = tokio::spawn({
        let outbox = Arc::clone(&outbox);
        async move { outbox.wait(LONG).await }
    });
    tokio::task::yield_now().await;
    let begun = Instant::now();
    outbox.add(&[job("1", Due::Now)]).await.unwrap();
    waiting.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    // There is no wait if a job is already due.
    outbox.wait(LONG).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(taken(&outbox).await, ["1"]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_a_job_is_due_and_when_a_lease_ends() {
    let (outbox, begun) = (outbox(), Instant::now());
    outbox.add(&[job("1", Due::After(Duration::from_secs(5)))]).await.unwrap();
    outbox.wait(LONG).await;
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!(taken(&outbox).await, ["1"]);
    outbox.wait(LONG).await;
    assert_eq!(begun.elapsed().as_secs(), 35);
    assert_eq!(taken(&outbox).await, ["1"]);
    outbox.wait(Duration::from_secs(1)).await;
    assert_eq!(begun.elapsed().as_secs(), 36);
}

#[tokio::test(start_paused = true)]
async fn only_a_clock_moved_forward_makes_jobs_due() {
    let outbox = outbox();
    outbox.add(&[job("1", Due::AtMs(START + 1_000)), job("2", Due::AtMs(START + 2_000))]).await.unwrap();
    let waiting = tokio::spawn({
        let outbox = Arc::clone(&outbox);
        async move { outbox.wait(LONG).await }
    });
    tokio::task::yield_now().await;
    outbox.advance(Duration::from_secs(1));
    waiting.await.unwrap();
    assert_eq!(outbox.now_ms().await, Ok(START + 1_000));
    assert_eq!(taken(&outbox).await, ["1"]);
    outbox.set_clock(START - 60_000);
    assert_eq!(taken(&outbox).await, [""; 0]);
    outbox.set_clock(START + 2_000);
    assert_eq!(taken(&outbox).await, ["2"]);
}
