//! Operations that cases repeat, also for your own tests.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use crate::conformance::steps::{LONG, MOST_OF_IT, PATIENCE, SHORT, eventually};
use crate::outbox::{Conclusion, Due, Outbox, OutboxJob, OutboxRow, RowState, Rows, TakenJob};

/// The smallest part of [`SHORT`] that a clock with milliseconds may show.
pub const MOST_OF_SHORT: Duration = Duration::from_millis(295);
/// More jobs than any case adds.
pub const ALL: usize = 10_000;

/// Returns a job that is due immediately.
pub fn job(id: &str) -> OutboxJob {
    OutboxJob::new(id, "image.process", serde_json::json!({ "id": id }).to_string())
}

/// Returns a job in a group.
pub fn grouped(id: &str, group: &str) -> OutboxJob {
    OutboxJob { group: Some(group.to_owned()), ..job(id) }
}

/// Returns a job that is due at this time.
pub fn due(job: OutboxJob, due: Due) -> OutboxJob {
    OutboxJob { due, ..job }
}

/// Returns jobs with these ids.
pub fn jobs(ids: &[&str]) -> Vec<OutboxJob> {
    ids.iter().map(|id| job(id)).collect()
}

/// Returns jobs with these ids in a group.
pub fn in_group(ids: &[&str], group: &str) -> Vec<OutboxJob> {
    ids.iter().map(|id| grouped(id, group)).collect()
}

/// Returns the ids of taken jobs in the order of taking.
pub fn ids(taken: &[TakenJob]) -> Vec<&str> {
    taken.iter().map(|taken| &*taken.job.id).collect()
}

/// Returns the ids of taken jobs, sorted: jobs without a group have no order.
pub fn sorted(taken: &[TakenJob]) -> Vec<&str> {
    let mut ids = ids(taken);
    ids.sort_unstable();
    ids
}

/// Takes all jobs that a relay can take now.
pub async fn take(outbox: &Arc<dyn Outbox>, relay: &str) -> Vec<TakenJob> {
    outbox.take(relay, ALL, LONG).await.unwrap()
}

/// Takes all jobs that a relay can take now, for a short time.
pub async fn take_briefly(outbox: &Arc<dyn Outbox>, relay: &str) -> Vec<TakenJob> {
    outbox.take(relay, ALL, SHORT).await.unwrap()
}

/// Takes jobs until `count` jobs were taken.
pub async fn taken_in_time(outbox: &Arc<dyn Outbox>, relay: &str, count: usize) -> Vec<TakenJob> {
    let mut taken = Vec::new();
    let begun = Instant::now();
    loop {
        taken.extend(take(outbox, relay).await);
        if taken.len() >= count {
            assert_eq!(taken.len(), count, "{:?}", ids(&taken));
            return taken;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {count} jobs: {:?}", ids(&taken));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asserts that a relay can take nothing now.
pub async fn assert_nothing(outbox: &Arc<dyn Outbox>, relay: &str) {
    assert_eq!(ids(&take(outbox, relay).await), [""; 0]);
}

/// Returns the conclusion of a job that was sent.
pub fn sent(taken: TakenJob) -> (TakenJob, Conclusion) {
    let message_id = format!("message of {}", taken.job.id);
    (taken, Conclusion::Sent { message_id })
}

/// Returns the conclusion of a job that is put back for this time after a failure.
pub fn later(taken: TakenJob, after: Duration) -> (TakenJob, Conclusion) {
    (taken, Conclusion::Later { after, is_failure: true, reason: Some("it \"failed\"".to_owned()) })
}

/// Returns the conclusion of a job that is put back because another job failed.
pub fn held_up(taken: TakenJob) -> (TakenJob, Conclusion) {
    (taken, Conclusion::Later { after: Duration::ZERO, is_failure: false, reason: None })
}

/// Returns the conclusion of a job that cannot be sent.
pub fn parked(taken: TakenJob) -> (TakenJob, Conclusion) {
    (taken, Conclusion::Parked { reason: "it's \"odd\"".to_owned() })
}

/// Reports conclusions of jobs that belong to the relay.
pub async fn conclude(outbox: &Arc<dyn Outbox>, concluded: &[(TakenJob, Conclusion)]) {
    assert_eq!(outbox.conclude(concluded).await, Ok(0), "{concluded:?}");
}

/// Reports that jobs were sent.
pub async fn all_sent(outbox: &Arc<dyn Outbox>, taken: Vec<TakenJob>) {
    conclude(outbox, &taken.into_iter().map(sent).collect::<Vec<_>>()).await;
}

/// Sends due jobs until `count` jobs were sent. Returns their ids in the order of taking.
pub async fn drain(outbox: &Arc<dyn Outbox>, relay: &str, count: usize) -> Vec<String> {
    let mut drained = Vec::new();
    let begun = Instant::now();
    while drained.len() < count {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {count} jobs: {drained:?}");
        let taken = take(outbox, relay).await;
        if taken.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drained.extend(taken.iter().map(|taken| taken.job.id.clone()));
        all_sent(outbox, taken).await;
    }
    drained
}

/// Returns the rows in a state.
pub async fn rows(outbox: &Arc<dyn Outbox>, state: impl Into<Option<RowState>>) -> Vec<OutboxRow> {
    outbox.rows(&Rows::new(state.into(), ALL)).await.unwrap()
}

/// Returns the ids of the rows in a state.
pub async fn row_ids(outbox: &Arc<dyn Outbox>, state: impl Into<Option<RowState>>) -> Vec<String> {
    rows(outbox, state).await.into_iter().map(|row| row.job.id).collect()
}

/// Converts ids to the type that calls need.
pub fn named(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}
