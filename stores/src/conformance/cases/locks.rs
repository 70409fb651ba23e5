//! Locks, which at most one job holds at a time.

use drumline::core::{ClaimRequest, ClaimResult, Ownership, ReleaseClaim};

use crate::assert_claim_result;
use crate::conformance::World;
use crate::conformance::steps::{LONG, MOST_OF_IT, again, expired, fail, granted, granted_in_time, short};

pub async fn a_lock_is_held_against_other_keys(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let claim = granted(&one, &world.locking("job", "lock")).await.claim;
    assert_eq!(claim.lock.as_ref().map(|(name, _)| name), Some(&world.name("lock")));
    for store in [&one, &other] {
        let admission = store.claim(&world.locking("other", "lock")).await.unwrap();
        assert_claim_result!(admission, ClaimResult::Locked(left) if *left <= LONG && *left > MOST_OF_IT);
    }
}

pub async fn a_lock_that_is_held_leaves_nothing_of_the_claim(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    granted(&one, &world.locking("job", "lock")).await;
    let request = world.locking("other", "lock");
    assert_claim_result!(other.claim(&request).await.unwrap(), ClaimResult::Locked(_));
    assert_eq!(other.jobs(request.identity.job_id()).await, Ok(Vec::new()));
    let grant = granted(&other, &ClaimRequest { lock: None, ..request }).await;
    assert_eq!(grant.attempt.get(), 1);
}

pub async fn a_lock_is_free_after_the_end(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let first = granted(&one, &world.locking("job", "lock")).await.claim;
    assert_eq!(one.finish(&first, None).await, Ok(Ownership::Kept));
    let second = granted(&other, &world.locking("other", "lock")).await.claim;
    assert!(second.lock.as_ref().unwrap().1 > first.lock.as_ref().unwrap().1);
    // Finishing again does not take the lock from its next owner.
    assert_eq!(one.finish(&first, None).await, Ok(Ownership::Kept));
    assert_claim_result!(one.claim(&world.locking("third", "lock")).await.unwrap(), ClaimResult::Locked(_));
}

pub async fn a_lock_is_free_after_a_release(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let first = granted(&one, &world.locking("job", "lock")).await.claim;
    fail(&one, &first).await;
    let second = granted(&other, &world.locking("other", "lock")).await.claim;
    assert!(second.lock.as_ref().unwrap().1 > first.lock.as_ref().unwrap().1);
    fail(&one, &first).await;
    let request = again(&world.locking("job", "lock"));
    assert_claim_result!(one.claim(&request).await.unwrap(), ClaimResult::Locked(_));
    fail(&other, &second).await;
    granted(&one, &request).await;
}

pub async fn a_lock_is_free_after_its_expiry(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let first = granted(&one, &short(world.locking("job", "lock"))).await.claim;
    let second = granted_in_time(&other, &world.locking("other", "lock")).await.claim;
    assert!(second.lock.as_ref().unwrap().1 > first.lock.as_ref().unwrap().1);
}

pub async fn a_renewal_is_one_of_the_lock_too(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let claim = granted(&one, &short(world.locking("job", "lock"))).await.claim;
    assert_eq!(one.renew(&claim, LONG).await, Ok(Ownership::Kept));
    let admission = other.claim(&world.locking("other", "lock")).await.unwrap();
    assert_claim_result!(admission, ClaimResult::Locked(left) if *left > MOST_OF_IT);
}

pub async fn who_lost_the_lock_finishes_nothing(world: World) {
    let (late, heir) = (world.worker("late").await, world.worker("heir").await);
    let old = granted(&late, &short(world.locking("job", "lock"))).await.claim;
    expired(&late, &old).await;
    let new = granted(&heir, &world.locking("other", "lock")).await.claim;
    assert_eq!(late.renew(&old, LONG).await, Ok(Ownership::Lost));
    assert_eq!(late.finish(&old, None).await, Ok(Ownership::Lost));
    // The claim can still release its key, but not the lock.
    let how = ReleaseClaim { count_attempt: true, failure_reason: None, dead: false };
    assert_eq!(late.release_claim(&old, &how).await, Ok(Ownership::Kept));
    assert_claim_result!(late.claim(&world.locking("third", "lock")).await.unwrap(), ClaimResult::Locked(_));
    granted(&late, &again(&world.request("job"))).await;
    assert_eq!(heir.renew(&new, LONG).await, Ok(Ownership::Kept));
    assert_eq!(heir.finish(&new, None).await, Ok(Ownership::Kept));
}

pub async fn locks_of_other_names_do_not_matter(world: World) {
    let store = world.worker("one").await;
    granted(&store, &world.locking("job", "lock")).await;
    granted(&store, &world.locking("other", "another lock")).await;
    granted(&store, &world.request("third")).await;
    // A key and a lock may have the same name.
    granted(&store, &world.request("lock")).await;
}

pub async fn a_key_is_held_before_its_lock_is_locked(world: World) {
    let store = world.worker("one").await;
    let request = world.locking("job", "lock");
    let claim = granted(&store, &request).await.claim;
    assert_claim_result!(store.claim(&again(&request)).await.unwrap(), ClaimResult::Busy(_));
    let mismatch = ClaimRequest { payload_hash: 1, ..again(&request) };
    assert_claim_result!(store.claim(&mismatch).await.unwrap(), ClaimResult::Mismatch);
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
    granted(&store, &world.locking("other", "lock")).await;
    assert_claim_result!(store.claim(&again(&request)).await.unwrap(), ClaimResult::Done(run) if run.result.is_none());
}
