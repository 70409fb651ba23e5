//! Which request gets a claim, and the results of the others.

use drumline::core::{ClaimRequest, ClaimResult, Ownership};

use crate::assert_claim_result;
use crate::conformance::World;
use crate::conformance::steps::{
    LONG, MOST_OF_IT, SHORT, again, expired, fail, granted, granted_in_time, json, short, text,
};

pub async fn a_free_key_is_granted_and_then_held(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let request = world.request("job");
    let grant = granted(&one, &request).await;
    assert_eq!(grant.attempt.get(), 1);
    assert_eq!(text(grant.checkpoint.as_deref()), None);
    let claim = &grant.claim;
    assert_eq!((&claim.identity, &claim.lock), (&request.identity, &None));
    assert_eq!(&*claim.owner, world.name("one"));
    for store in [&one, &other] {
        let admission = store.claim(&again(&request)).await.unwrap();
        assert_claim_result!(admission, ClaimResult::Busy(left) if *left <= LONG && *left > MOST_OF_IT);
    }
}

pub async fn a_finished_job_answers_with_its_result(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let request = world.request("job");
    let claim = granted(&one, &request).await.claim;
    let result = r#"{"big": 12345678901234567890, "odd":  [1,  null, "\u0000"]}"#;
    assert_eq!(one.finish(&claim, Some(&json(result))).await, Ok(Ownership::Kept));
    for store in [&one, &other] {
        let admission = store.claim(&again(&request)).await.unwrap();
        assert_claim_result!(admission, ClaimResult::Done(run) if text(run.result.as_deref()) == Some(result));
    }
    // Another message of the job gets the same result.
    let redriven = ClaimRequest { message_id: "another".into(), ..request };
    assert_claim_result!(other.claim(&redriven).await.unwrap(), ClaimResult::Done(run) if run.result.is_some());
}

pub async fn a_finished_job_may_have_no_result(world: World) {
    let store = world.worker("one").await;
    let request = world.request("job");
    let claim = granted(&store, &request).await.claim;
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
    assert_claim_result!(store.claim(&again(&request)).await.unwrap(), ClaimResult::Done(run) if run.result.is_none());
}

pub async fn an_expired_claim_is_taken_over_with_a_larger_counter(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let first = granted(&one, &short(world.request("job"))).await.claim;
    let second = granted_in_time(&other, &world.request("job")).await.claim;
    assert!(second.fencing_token > first.fencing_token, "{second:?} after {first:?}");
    assert_claim_result!(one.claim(&world.request("job")).await.unwrap(), ClaimResult::Busy(left) if *left > MOST_OF_IT);
}

pub async fn a_released_claim_is_granted_at_once_with_a_larger_counter(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let first = granted(&one, &world.request("job")).await.claim;
    fail(&one, &first).await;
    let second = granted(&other, &again(&world.request("job"))).await.claim;
    assert!(second.fencing_token > first.fencing_token, "{second:?} after {first:?}");
}

pub async fn another_payload_does_not_match_what_runs_or_is_done(world: World) {
    let store = world.worker("one").await;
    let request = world.request("job");
    let other = ClaimRequest { payload_hash: 1, message_id: "another".into(), ..request.clone() };
    let claim = granted(&store, &request).await.claim;
    assert_claim_result!(store.claim(&other).await.unwrap(), ClaimResult::Mismatch);
    store.finish(&claim, None).await.unwrap();
    assert_claim_result!(store.claim(&other).await.unwrap(), ClaimResult::Mismatch);
    assert_claim_result!(store.claim(&request).await.unwrap(), ClaimResult::Done(run) if run.result.is_none());
}

pub async fn another_payload_may_follow_what_failed(world: World) {
    let store = world.worker("one").await;
    let request = world.request("job");
    let other = ClaimRequest { payload_hash: 1, message_id: "another".into(), ..request.clone() };
    fail(&store, &granted(&store, &request).await.claim).await;
    let claim = granted(&store, &other).await.claim;
    assert_claim_result!(store.claim(&request).await.unwrap(), ClaimResult::Mismatch);
    assert_eq!(store.renew(&claim, SHORT).await, Ok(Ownership::Kept));
    // An expired claim does not restrict the payload either.
    expired(&store, &claim).await;
    granted(&store, &request).await;
}

pub async fn what_is_asked_first_is_answered_first(world: World) {
    let store = world.worker("one").await;
    let request = world.locking("job", "lock");
    let claim = granted(&store, &request).await.claim;
    let how = drumline::core::ReleaseClaim {
        count_attempt: true,
        failure_reason: Some("no".to_owned()),
        dead: false,
    };
    store.release_claim(&claim, &how).await.unwrap();
    granted(&store, &world.locking("other", "lock")).await;
    // A permanent failure has precedence over a lock.
    assert_claim_result!(store.claim(&again(&request)).await.unwrap(), ClaimResult::FailedPermanently(why) if why == "no");
    let redriven = ClaimRequest { message_id: "another".into(), ..request };
    assert_claim_result!(store.claim(&redriven).await.unwrap(), ClaimResult::Locked(_));
}
