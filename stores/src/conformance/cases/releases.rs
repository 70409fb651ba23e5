//! The data that is left for the next attempt.

use crate::JobState;
use drumline::core::{ClaimRequest, ClaimResult, Ownership, ReleaseClaim};

use crate::assert_claim_result;
use crate::conformance::World;
use crate::conformance::steps::{again, fail, granted, granted_in_time, json, only, short, text};

pub async fn attempts_are_counted_unless_spared(world: World) {
    let store = world.worker("one").await;
    let mut request = world.request("job");
    // If the attempt is not counted, and its number.
    for (spared, attempt) in [(false, 1), (true, 2), (true, 2), (false, 2), (false, 3), (true, 4), (false, 4)]
    {
        let grant = granted(&store, &request).await;
        assert_eq!(grant.attempt.get(), attempt, "at receive {}", request.receive_count);
        let how = ReleaseClaim { count_attempt: !spared, failure_reason: None, dead: false };
        assert_eq!(store.release_claim(&grant.claim, &how).await, Ok(Ownership::Kept));
        request = again(&request);
    }
}

pub async fn a_takeover_is_another_attempt(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    granted(&one, &short(world.request("job"))).await;
    let grant = granted_in_time(&other, &again(&world.request("job"))).await;
    assert_eq!(grant.attempt.get(), 2);
}

pub async fn another_message_begins_anew(world: World) {
    let store = world.worker("one").await;
    let request = world.request("job");
    fail(&store, &granted(&store, &request).await.claim).await;
    fail(&store, &granted(&store, &again(&request)).await.claim).await;
    let redriven = ClaimRequest { message_id: "another".into(), ..request };
    let grant = granted(&store, &redriven).await;
    assert_eq!(grant.attempt.get(), 1);
    fail(&store, &grant.claim).await;
    assert_eq!(granted(&store, &again(&redriven)).await.attempt.get(), 2);
}

pub async fn a_verdict_is_about_one_message(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let request = world.request("job");
    let claim = granted(&one, &request).await.claim;
    let how = ReleaseClaim {
        count_attempt: true,
        failure_reason: Some("no such image: \"ö\"".to_owned()),
        dead: false,
    };
    assert_eq!(one.release_claim(&claim, &how).await, Ok(Ownership::Kept));
    let record = only(&one, request.identity.job_id()).await.claim.unwrap();
    assert_eq!((record.state, record.failure_reason.clone()), (JobState::Failed, how.failure_reason.clone()));
    for store in [&one, &other] {
        let admission = store.claim(&again(&request)).await.unwrap();
        assert_claim_result!(admission, ClaimResult::FailedPermanently(why) if Some(why) == how.failure_reason.as_ref());
    }
    let redriven = ClaimRequest { message_id: "another".into(), ..request.clone() };
    fail(&other, &granted(&other, &redriven).await.claim).await;
    let record = only(&one, request.identity.job_id()).await.claim.unwrap();
    assert_eq!((record.state, record.failure_reason), (JobState::Waiting, None));
    granted(&one, &again(&redriven)).await;
}

pub async fn a_job_is_dead_after_its_last_attempt_until_it_runs_again(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let request = world.request("job");
    let how = ReleaseClaim { count_attempt: true, failure_reason: None, dead: true };
    let claim = granted(&one, &request).await.claim;
    for _ in 0..2 {
        assert_eq!(
            one.release_claim(&claim, &how).await,
            Ok(Ownership::Kept),
            "saying it twice changes nothing"
        );
    }
    let state = async || only(&other, request.identity.job_id()).await.claim.unwrap().state;
    assert_eq!(state().await, JobState::Dead);
    assert_eq!(one.finish(&claim, None).await, Ok(Ownership::Lost));
    // After a redrive the job has a new message, or the old one if maxReceiveCount was raised.
    let redriven = ClaimRequest { message_id: "another".into(), ..request.clone() };
    let claim = granted(&other, &redriven).await.claim;
    assert_eq!(state().await, JobState::Running);
    fail(&other, &claim).await;
    assert_eq!(state().await, JobState::Waiting);
    let claim = granted(&one, &again(&redriven)).await.claim;
    assert_eq!(one.release_claim(&claim, &how).await, Ok(Ownership::Kept));
    let claim = granted(&one, &again(&redriven)).await.claim;
    assert_eq!(one.finish(&claim, None).await, Ok(Ownership::Kept));
    assert_eq!(state().await, JobState::Done);
}

pub async fn a_checkpoint_is_there_for_the_next_attempt(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let request = world.request("job");
    let grant = granted(&one, &request).await;
    for value in ["1", r#"{"row":  2, "sum": 1.50}"#] {
        assert_eq!(one.checkpoint(&grant.claim, &json(value)).await, Ok(Ownership::Kept));
    }
    fail(&one, &grant.claim).await;
    let grant = granted(&other, &again(&request)).await;
    assert_eq!(text(grant.checkpoint.as_deref()), Some(r#"{"row":  2, "sum": 1.50}"#));
    // An attempt without a checkpoint keeps the old one, and so does another message.
    fail(&other, &grant.claim).await;
    let redriven = ClaimRequest { message_id: "another".into(), ..request };
    let grant = granted(&one, &redriven).await;
    assert_eq!(text(grant.checkpoint.as_deref()), Some(r#"{"row":  2, "sum": 1.50}"#));
}

pub async fn a_checkpoint_outlives_its_owner(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let claim = granted(&one, &short(world.request("job"))).await.claim;
    assert_eq!(one.checkpoint(&claim, &json("[1]")).await, Ok(Ownership::Kept));
    let grant = granted_in_time(&other, &again(&world.request("job"))).await;
    assert_eq!(text(grant.checkpoint.as_deref()), Some("[1]"));
}

pub async fn a_checkpoint_is_not_for_another_payload(world: World) {
    let store = world.worker("one").await;
    let request = world.request("job");
    let claim = granted(&store, &request).await.claim;
    assert_eq!(store.checkpoint(&claim, &json("1")).await, Ok(Ownership::Kept));
    fail(&store, &claim).await;
    let other = ClaimRequest { payload_hash: 1, ..again(&request) };
    let grant = granted(&store, &other).await;
    assert_eq!(text(grant.checkpoint.as_deref()), None);
    fail(&store, &grant.claim).await;
    // The checkpoint is removed, not just hidden.
    assert_eq!(text(granted(&store, &again(&request)).await.checkpoint.as_deref()), None);
}

pub async fn a_checkpoint_ends_with_its_job(world: World) {
    let store = world.worker("one").await;
    let claim = granted(&store, &world.request("job")).await.claim;
    assert_eq!(store.checkpoint(&claim, &json("1")).await, Ok(Ownership::Kept));
    assert_eq!(store.finish(&claim, Some(&json("2"))).await, Ok(Ownership::Kept));
    let admission = store.claim(&again(&world.request("job"))).await.unwrap();
    assert_claim_result!(admission, ClaimResult::Done(run) if text(run.result.as_deref()) == Some("2"));
}
