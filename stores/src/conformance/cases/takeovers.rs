//! Claims whose worker has died or seems dead: they expire without being finished or released.

use std::sync::Arc;

use crate::Store;
use drumline::core::{ClaimRequest, Grant, Ownership, ReleaseClaim, Takeover};

use crate::conformance::World;
use crate::conformance::steps::{again, fail, granted, granted_in_time, short};

/// Returns the takeover of a grant as its owner and count. A store in memory has no takeovers.
fn of(grant: &Grant) -> Option<(Option<&str>, u32)> {
    grant.takeover.as_ref().map(|Takeover { former_owner, unended }| (former_owner.as_deref(), *unended))
}

/// Returns the takeover that a shared store reports for a claim of `owner`.
fn left_by(world: &World, owner: &str, unended: u32) -> Option<(Option<String>, u32)> {
    (!world.is_in_process()).then(|| (Some(world.name(owner)), unended))
}

fn assert_takeover(grant: &Grant, expected: Option<&(Option<String>, u32)>) {
    assert_eq!(of(grant), expected.map(|(owner, unended)| (owner.as_deref(), *unended)));
}

/// Receives the message again with a worker that dies.
async fn dies(store: &Arc<dyn Store>, request: &ClaimRequest) -> Grant {
    granted_in_time(store, &short(request.clone())).await
}

pub async fn claims_that_were_left_unended_are_counted_with_their_owner(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let request = world.request("job");
    assert_takeover(&dies(&one, &request).await, None);
    assert_takeover(&dies(&other, &again(&request)).await, left_by(&world, "one", 1).as_ref());
    assert_takeover(&dies(&one, &again(&request)).await, left_by(&world, "other", 2).as_ref());
    let grant = granted_in_time(&other, &again(&request)).await;
    assert_takeover(&grant, left_by(&world, "one", 3).as_ref());
}

pub async fn an_ending_ends_the_count(world: World) {
    let store = world.worker("one").await;
    let request = world.locking("job", "lock");
    for spared in [false, true] {
        dies(&store, &request).await;
        let grant = granted_in_time(&store, &again(&request)).await;
        assert_takeover(&grant, left_by(&world, "one", 1).as_ref());
        let how = ReleaseClaim { count_attempt: !spared, failure_reason: None, dead: false };
        assert_eq!(store.release_claim(&grant.claim, &how).await, Ok(Ownership::Kept));
        let grant = granted(&store, &again(&request)).await;
        assert_takeover(&grant, None);
        fail(&store, &grant.claim).await;
    }
}

pub async fn another_message_of_the_job_has_its_own_count(world: World) {
    let store = world.worker("one").await;
    let request = world.request("job");
    dies(&store, &request).await;
    dies(&store, &again(&request)).await;
    let other = ClaimRequest { message_id: "another".into(), ..request };
    assert_takeover(&dies(&store, &other).await, left_by(&world, "one", 0).as_ref());
    assert_takeover(&granted_in_time(&store, &again(&other)).await, left_by(&world, "one", 1).as_ref());
}

pub async fn a_renewed_claim_is_not_left(world: World) {
    let store = world.worker("one").await;
    let request = world.request("job");
    let claim = dies(&store, &request).await.claim;
    assert_eq!(store.renew(&claim, crate::conformance::steps::LONG).await, Ok(Ownership::Kept));
    fail(&store, &claim).await;
    assert_takeover(&granted(&store, &again(&request)).await, None);
}
