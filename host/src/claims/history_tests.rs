#![allow(clippy::unwrap_used)]
use std::time::Duration;

use drumline::Failure;
use drumline::core::Outcome;
use drumline::run::NoopObserver;
use drumline_store::{MemoryStore, Retention};
use tokio::runtime::Handle;

use super::*;
use crate::claims::ClaimStoreClient;
use crate::every_event::{TYPE, emit_a_run, emit_decided, emit_every_event};

fn history() -> (Arc<dyn Observer>, ClaimStoreClient) {
    let store = Arc::new(MemoryStore::new("worker".into(), Retention::default()));
    let claim_store =
        ClaimStoreClient::new(store, "worker".into(), Arc::new(NoopObserver), Handle::current());
    (Arc::new(claim_store.history_observer()), claim_store)
}

async fn attempts(claim_store: &ClaimStoreClient, job_id: &str) -> Vec<AttemptRecord> {
    claim_store.settle(Duration::from_secs(5)).await;
    let jobs = claim_store.store().jobs(job_id).await.unwrap();
    jobs.into_iter().flat_map(|job| job.attempts).collect()
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_written_with_all_facts_and_redacted() {
    let (observer, claim_store) = history();
    let reason = "password=hunter2".to_owned();
    let outcome = Outcome::RetryAfter(Duration::from_millis(1500));
    emit_decided(&observer, TYPE, outcome, Ending::RetryAsked { after: None, reason: reason.clone() });
    let record = attempts(&claim_store, "k").await.remove(0);
    let expected = AttemptRecord {
        at_ms: record.at_ms,
        message_id: "m1".to_owned(),
        job_id: Some("k".to_owned()),
        queue: "jobs".to_owned(),
        job_type: Some(TYPE.to_owned()),
        attempt: 1,
        receive_count: 1,
        worker: "worker".to_owned(),
        took_ms: 250,
        class: "retry_asked".to_owned(),
        reason: redacted(&reason).into_owned(),
        outcome: "retry".to_owned(),
        retry_in_ms: Some(1500),
        last_attempt: false,
        log: Vec::new(),
    };
    assert_eq!(record, expected);
    assert!(!record.reason.contains("hunter2"), "{}", record.reason);
}

#[tokio::test(start_paused = true)]
async fn what_succeeds_or_does_not_run_is_no_failed_attempt() {
    let (observer, claim_store) = history();
    emit_decided(&observer, TYPE, Outcome::Ack, Ending::Done);
    let (remaining, reason) = (Duration::from_secs(1), "held".to_owned());
    emit_decided(&observer, TYPE, Outcome::RetryAfter(remaining), Ending::Busy { remaining, reason });
    assert_eq!(attempts(&claim_store, "k").await, []);
}

#[tokio::test(start_paused = true)]
async fn a_log_is_written_with_its_attempt_and_outlives_no_decision() {
    let (_, claim_store) = history();
    let history = Arc::new(claim_store.history_observer());
    let observer: Arc<dyn Observer> = Arc::clone(&history) as _;
    let lines = || vec!["INFO mail begun".to_owned()];
    let failed = Ending::RetryAsked { after: None, reason: "later".to_owned() };
    for (outcome, ending) in [(Outcome::RetryAfter(Duration::ZERO), failed), (Outcome::Ack, Ending::Done)] {
        history.logs().insert("m1".into(), lines());
        emit_decided(&observer, TYPE, outcome, ending);
        assert!(history.logs().is_empty());
    }
    let logs: Vec<_> = attempts(&claim_store, "k").await.into_iter().map(|attempt| attempt.log).collect();
    assert_eq!(logs, [lines()]);
}

#[tokio::test(start_paused = true)]
async fn the_progress_of_a_run_is_written_unless_it_succeeds_at_once() {
    let (observer, claim_store) = history();
    emit_a_run(&observer, Ok(()));
    let shown = async || {
        tokio::time::sleep(Duration::from_secs(2)).await;
        claim_store.settle(Duration::from_secs(5)).await;
        let jobs = claim_store.store().jobs("m1").await.unwrap();
        jobs.into_iter().find_map(|job| job.progress).map(|progress| (progress.done, progress.total))
    };
    assert_eq!(shown().await, None);
    emit_a_run(&observer, Err(Failure::retry("later")));
    assert_eq!(shown().await, Some((1, 2)));
}

#[tokio::test(start_paused = true)]
async fn every_event_can_be_written() {
    let (observer, claim_store) = history();
    emit_every_event(&observer);
    assert!(!attempts(&claim_store, "k").await.is_empty());
}
