//! Which claims may still write, and which may not.

use std::sync::Arc;

use drumline::core::{Claim, ClaimResult, Ownership, ReleaseClaim};
use drumline::message::Identity;

use crate::assert_claim_result;
use crate::conformance::World;
use crate::conformance::steps::{
    LONG, MOST_OF_IT, again, assert_lost, expired, fail, granted, granted_in_time, json, short, text,
};

pub async fn an_owner_that_was_overtaken_writes_nothing(world: World) {
    let (late, heir) = (world.worker("late").await, world.worker("heir").await);
    let old = granted(&late, &short(world.request("job"))).await.claim;
    let new = granted_in_time(&heir, &world.request("job")).await.claim;
    assert_lost(&late, &old).await;
    assert_claim_result!(late.claim(&world.request("job")).await.unwrap(), ClaimResult::Busy(left) if *left > MOST_OF_IT);

    assert_eq!(heir.checkpoint(&new, &json("1")).await, Ok(Ownership::Kept));
    assert_eq!(heir.renew(&new, LONG).await, Ok(Ownership::Kept));
    assert_eq!(heir.finish(&new, Some(&json("\"the heir's\""))).await, Ok(Ownership::Kept));
    assert_lost(&late, &old).await;
    let admission = late.claim(&again(&world.request("job"))).await.unwrap();
    assert_claim_result!(admission, ClaimResult::Done(run) if text(run.result.as_deref()) == Some("\"the heir's\""));
}

pub async fn an_owner_is_overtaken_by_its_own_process_too(world: World) {
    let store = world.worker("one").await;
    let old = granted(&store, &short(world.request("job"))).await.claim;
    let new = granted_in_time(&store, &world.request("job")).await.claim;
    assert_lost(&store, &old).await;
    fail(&store, &new).await;
    let newer = granted(&store, &again(&world.request("job"))).await.claim;
    for claim in [&old, &new] {
        assert_lost(&store, claim).await;
    }
    assert_eq!(store.finish(&newer, None).await, Ok(Ownership::Kept));
}

pub async fn an_expired_claim_without_a_taker_can_be_renewed(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let claim = granted(&one, &short(world.locking("job", "lock"))).await.claim;
    expired(&one, &claim).await;
    assert_eq!(one.checkpoint(&claim, &json("1")).await, Ok(Ownership::Kept));
    assert_eq!(one.renew(&claim, LONG).await, Ok(Ownership::Kept));
    let admission = other.claim(&world.request("job")).await.unwrap();
    assert_claim_result!(admission, ClaimResult::Busy(left) if *left > MOST_OF_IT);
}

pub async fn an_expired_claim_without_a_taker_can_be_finished(world: World) {
    let store = world.worker("one").await;
    let claim = granted(&store, &short(world.locking("job", "lock"))).await.claim;
    expired(&store, &claim).await;
    assert_eq!(store.finish(&claim, Some(&json("1"))).await, Ok(Ownership::Kept));
    assert_claim_result!(store.claim(&world.request("job")).await.unwrap(), ClaimResult::Done(run) if run.result.is_some());
}

pub async fn nothing_is_written_after_a_release(world: World) {
    let store = world.worker("one").await;
    let claim = granted(&store, &world.request("job")).await.claim;
    fail(&store, &claim).await;
    assert_eq!(store.renew(&claim, LONG).await, Ok(Ownership::Lost));
    assert_eq!(store.checkpoint(&claim, &json("1")).await, Ok(Ownership::Lost));
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Lost));
    let grant = granted(&store, &again(&world.request("job"))).await;
    assert_eq!(text(grant.checkpoint.as_deref()), None);
}

pub async fn nothing_is_written_after_the_end(world: World) {
    let store = world.worker("one").await;
    let claim = granted(&store, &world.request("job")).await.claim;
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
    let how = ReleaseClaim { count_attempt: false, failure_reason: None, dead: false };
    assert_eq!(store.renew(&claim, LONG).await, Ok(Ownership::Lost));
    assert_eq!(store.checkpoint(&claim, &json("1")).await, Ok(Ownership::Lost));
    assert_eq!(store.release_claim(&claim, &how).await, Ok(Ownership::Lost));
    assert_claim_result!(store.claim(&again(&world.request("job"))).await.unwrap(), ClaimResult::Done(run) if run.result.is_none());
}

pub async fn what_is_finished_or_released_twice_is_so_once(world: World) {
    let store = world.worker("one").await;
    let claim = granted(&store, &world.locking("job", "lock")).await.claim;
    for _ in 0..2 {
        assert_eq!(store.finish(&claim, Some(&json("1"))).await, Ok(Ownership::Kept));
    }
    let claim = granted(&store, &world.locking("other", "lock")).await.claim;
    fail(&store, &claim).await;
    let claim = granted(&store, &again(&world.locking("other", "lock"))).await.claim;
    let how = ReleaseClaim { count_attempt: false, failure_reason: None, dead: false };
    for _ in 0..2 {
        assert_eq!(store.release_claim(&claim, &how).await, Ok(Ownership::Kept));
    }
    let grant = granted(&store, &again(&again(&world.locking("other", "lock")))).await;
    assert_eq!(grant.attempt.get(), 2);
}

pub async fn a_renewal_lasts(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let claim = granted(&one, &short(world.request("job"))).await.claim;
    assert_eq!(one.renew(&claim, LONG).await, Ok(Ownership::Kept));
    let admission = other.claim(&world.request("job")).await.unwrap();
    assert_claim_result!(admission, ClaimResult::Busy(left) if *left > MOST_OF_IT);
}

pub async fn who_never_had_the_claim_writes_nothing(world: World) {
    let store = world.worker("one").await;
    let made_up = |identity: Arc<Identity>| Claim {
        identity,
        owner: "nobody".into(),
        fencing_token: 1,
        lock: Some((world.name("lock"), 1)),
    };
    assert_lost(&store, &made_up(Arc::new(world.identity("unknown")))).await;
    let claim = granted(&store, &world.request("job")).await.claim;
    assert_lost(&store, &made_up(Arc::clone(&claim.identity))).await;
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
}
