//! Operations that cases repeat, also for your own tests.

use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Claim, ClaimRequest, ClaimResult, Grant, Ownership, ReleaseClaim};
use drumline::message::Identity;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::{AttemptRecord, JobRecord, JobState, ProgressRecord, Store};

/// The length of a claim that expires during the test.
pub const SHORT: Duration = Duration::from_millis(300);
/// The length of a claim that does not expire during the test.
pub const LONG: Duration = Duration::from_secs(120);
/// The remaining time of a long claim, even on a slow machine.
pub const MOST_OF_IT: Duration = Duration::from_secs(60);
/// The queue of the jobs.
pub const QUEUE: &str = "jobs";
/// The scope of that queue.
pub const SCOPE: &str = "arn:aws:sqs:eu-west-1:123456789012:jobs";
/// The type of the jobs.
pub const TYPE: &str = "image.process";
/// The hash of their payload.
pub const PAYLOAD: u128 = 0xfedc_ba98_7654_3210_0123_4567_89ab_cdef;
/// The longest time that any operation may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Returns the request for the first run of a job.
pub fn request_of(identity: Identity) -> ClaimRequest {
    ClaimRequest {
        payload_hash: PAYLOAD,
        lock: None,
        length: LONG,
        queue: QUEUE.into(),
        message_id: format!("message of {}", identity.id()).into(),
        receive_count: 1,
        legacy_key: Some(Arc::clone(identity.id())),
        identity: Arc::new(identity),
    }
}

/// Returns the request for a redelivery of the same message.
pub fn again(request: &ClaimRequest) -> ClaimRequest {
    ClaimRequest { receive_count: request.receive_count + 1, ..request.clone() }
}

/// Returns the request for a claim that expires soon.
pub fn short(request: ClaimRequest) -> ClaimRequest {
    ClaimRequest { length: SHORT, ..request }
}

/// Requests a claim that must be granted at once.
pub async fn granted(store: &Arc<dyn Store>, request: &ClaimRequest) -> Grant {
    match store.claim(request).await.unwrap() {
        ClaimResult::Granted(grant) => grant,
        other => panic!("not granted but {other:?}"),
    }
}

/// Returns the only job with a job id.
pub async fn only(store: &Arc<dyn Store>, job_id: &str) -> JobRecord {
    let mut jobs = store.jobs(job_id).await.unwrap();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    jobs.remove(0)
}

/// Repeats a request until the claim is granted.
pub async fn granted_in_time(store: &Arc<dyn Store>, request: &ClaimRequest) -> Grant {
    let begun = Instant::now();
    loop {
        match store.claim(request).await.unwrap() {
            ClaimResult::Granted(grant) => return grant,
            ClaimResult::Busy(left) | ClaimResult::Locked(left) => {
                assert!(left <= request.length.max(SHORT), "{left:?}");
                assert!(begun.elapsed() < PATIENCE, "is still held");
            }
            other => panic!("not granted but {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a condition holds.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a claim has expired, without taking it.
pub async fn expired(store: &Arc<dyn Store>, claim: &Claim) {
    eventually("a claim expires", async || {
        let record = only(store, claim.identity.job_id()).await;
        record.claim.unwrap().state == JobState::Waiting
    })
    .await;
}

/// Releases a claim after a failure.
pub async fn fail(store: &Arc<dyn Store>, claim: &Claim) {
    let how = ReleaseClaim { count_attempt: true, failure_reason: None, dead: false };
    assert_eq!(store.release_claim(claim, &how).await, Ok(Ownership::Kept));
}

/// Returns a value of this JSON.
pub fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

/// Returns the JSON of a value.
pub fn text(value: Option<&RawValue>) -> Option<&str> {
    value.map(RawValue::get)
}

/// Asserts that nothing can be written under a claim.
pub async fn assert_lost(store: &Arc<dyn Store>, claim: &Claim) {
    let how = ReleaseClaim { count_attempt: true, failure_reason: Some("too late".to_owned()), dead: false };
    assert_eq!(store.renew(claim, LONG).await, Ok(Ownership::Lost));
    assert_eq!(store.checkpoint(claim, &json("\"too late\"")).await, Ok(Ownership::Lost));
    assert_eq!(store.release_claim(claim, &how).await, Ok(Ownership::Lost));
    assert_eq!(store.finish(claim, Some(&json("\"too late\""))).await, Ok(Ownership::Lost));
}

/// Returns a failed attempt with this number.
pub fn attempt(number: u32) -> AttemptRecord {
    AttemptRecord {
        at_ms: 1_700_000_000_000 + u64::from(number),
        message_id: "m-1".to_owned(),
        job_id: None,
        queue: "jobs".to_owned(),
        job_type: number.is_multiple_of(2).then(|| "image.process".to_owned()),
        attempt: number,
        receive_count: number,
        worker: "one".to_owned(),
        took_ms: 12,
        class: "error".to_owned(),
        reason: "it's \"odd\": ö \u{0}\n".to_owned(),
        outcome: "retry".to_owned(),
        retry_in_ms: Some(1000),
        last_attempt: false,
        log: Vec::new(),
    }
}

/// Returns a progress of `done` of ten rows.
pub fn progress(done: u64) -> ProgressRecord {
    ProgressRecord { at_ms: 1_700_000_000_000, done, total: 10, unit: "rows".to_owned() }
}
