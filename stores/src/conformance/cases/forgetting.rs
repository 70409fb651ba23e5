//! Done jobs whose record is deleted, so that they run again.

use std::sync::Arc;

use drumline::core::{ClaimRequest, ClaimResult, Ownership};

use crate::conformance::World;
use crate::conformance::steps::{
    again, assert_lost, attempt, expired, fail, granted, json, only, request_of, short, text,
};
use crate::{Forgotten, JobState, Store, StoreError, assert_claim_result};

/// Calls `forget` if the store supports it.
async fn forget(store: &Arc<dyn Store>, request: &ClaimRequest) -> Option<Forgotten> {
    match store.forget(request.identity.key()).await {
        Err(StoreError::Refused(_)) => None,
        forgotten => Some(forgotten.unwrap()),
    }
}

pub async fn a_done_job_that_is_forgotten_runs_again(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let request = request_of(world.identity("key").with_job_id(world.name("job")));
    let claim = granted(&one, &request).await.claim;
    assert_eq!(one.attempted(&request.identity, &attempt(1)).await, Ok(()));
    assert_eq!(one.finish(&claim, Some(&json("7"))).await, Ok(Ownership::Kept));
    let Some(forgotten) = forget(&other, &request).await else { return };
    assert_eq!(forgotten, Forgotten::Done);
    // The history and its lookups stay; the result is removed.
    let job = only(&other, &world.name("job")).await;
    let shown = job.claim.unwrap();
    assert_eq!((shown.state, shown.result, job.attempts.len()), (JobState::Waiting, None, 1));
    // The old run cannot mark the job again, not even by repeating its call.
    assert_eq!(one.finish(&claim, Some(&json("7"))).await, Ok(Ownership::Lost));
    assert_eq!(forget(&other, &request).await, Some(Forgotten::NotDone));

    // A fixed payload in another message.
    let fixed = ClaimRequest { payload_hash: 1, message_id: "another".into(), ..request };
    let grant = granted(&other, &fixed).await;
    assert_eq!((grant.attempt.get(), grant.takeover.is_none()), (1, true));
    assert!(grant.claim.fencing_token > claim.fencing_token, "{grant:?} after {claim:?}");
    assert_lost(&one, &claim).await;
    assert_eq!(other.finish(&grant.claim, Some(&json("8"))).await, Ok(Ownership::Kept));
    let admission = one.claim(&fixed).await.unwrap();
    assert_claim_result!(admission, ClaimResult::Done(run) if text(run.result.as_deref()) == Some("8"));
}

pub async fn only_what_is_done_is_forgotten(world: World) {
    let store = world.worker("one").await;
    let request = world.request("job");
    let Some(forgotten) = forget(&store, &request).await else { return };
    assert_eq!(forgotten, Forgotten::Absent);
    let claim = granted(&store, &request).await.claim;
    assert_eq!(forget(&store, &request).await, Some(Forgotten::Running));
    assert_eq!(store.checkpoint(&claim, &json("1")).await, Ok(Ownership::Kept));
    fail(&store, &claim).await;
    assert_eq!(forget(&store, &request).await, Some(Forgotten::NotDone));
    let grant = granted(&store, &again(&request)).await;
    assert_eq!((grant.attempt.get(), text(grant.checkpoint.as_deref())), (2, Some("1")));

    let brief = short(world.request("brief"));
    let claim = granted(&store, &brief).await.claim;
    expired(&store, &claim).await;
    assert_eq!(forget(&store, &brief).await, Some(Forgotten::NotDone));
    // Its worker is alive, and was only late.
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
}
