//! The retention of data, and the data that is shown to people.

use std::time::{Duration, SystemTime};

use crate::{AttemptRecord, JobState, MAX_ATTEMPTS_KEPT, MAX_RECENT, Retention, StoreError};
use drumline::core::{ClaimRequest, ClaimResult, Ownership, ReleaseClaim};

use crate::assert_claim_result;
use crate::conformance::World;
use crate::conformance::steps::{
    LONG, MOST_OF_IT, QUEUE, SCOPE, SHORT, TYPE, again, attempt, eventually, fail, granted, granted_in_time,
    json, only, progress, request_of,
};

const LONG_KEPT: Duration = Duration::from_secs(3600);

pub async fn a_done_job_is_forgotten_in_time(world: World) {
    let keep = Retention { done: SHORT, history: LONG_KEPT };
    let store = world.worker_keeping("one", keep).await;
    let request = world.request("job");
    let claim = granted(&store, &request).await.claim;
    assert_eq!(store.finish(&claim, Some(&json("1"))).await, Ok(Ownership::Kept));
    eventually("a done job is forgotten", async || {
        store.jobs(request.identity.job_id()).await.unwrap().is_empty()
    })
    .await;
    let grant = granted(&store, &ClaimRequest { payload_hash: 1, ..request }).await;
    assert_eq!(grant.attempt.get(), 1);
}

pub async fn a_failed_job_is_forgotten_in_time(world: World) {
    // Long enough to check what was written after it.
    let keep = Retention { done: LONG_KEPT, history: Duration::from_secs(1) };
    let store = world.worker_keeping("one", keep).await;
    let request = world.request("job");
    let claim = granted(&store, &request).await.claim;
    assert_eq!(store.checkpoint(&claim, &json("1")).await, Ok(Ownership::Kept));
    assert_eq!(store.attempted(&request.identity, &attempt(1)).await, Ok(()));
    assert_eq!(store.progress(&request.identity, &progress(1)).await, Ok(()));
    let how = ReleaseClaim { count_attempt: true, failure_reason: Some("no".to_owned()), dead: false };
    assert_eq!(store.release_claim(&claim, &how).await, Ok(Ownership::Kept));
    eventually("a failed job is forgotten", async || {
        store.jobs(request.identity.job_id()).await.unwrap().is_empty()
    })
    .await;
    let grant = granted(&store, &request).await;
    assert_eq!((grant.attempt.get(), grant.checkpoint.is_none()), (1, true));
    // The new history is not mixed with the old one.
    assert_eq!(store.attempted(&request.identity, &attempt(1)).await, Ok(()));
    let record = only(&store, request.identity.job_id()).await;
    assert_eq!((record.attempts.len(), record.progress), (1, None));
}

pub async fn a_running_job_is_never_forgotten(world: World) {
    let store = world.worker_keeping("one", Retention { done: SHORT, history: SHORT }).await;
    let request = world.locking("job", "lock");
    let claim = granted(&store, &request).await.claim;
    let brief = world.request("brief");
    assert_eq!(store.attempted(&brief.identity, &attempt(1)).await, Ok(()));
    fail(&store, &granted(&store, &brief).await.claim).await;
    eventually("another is forgotten", async || {
        store.jobs(brief.identity.job_id()).await.unwrap().is_empty()
    })
    .await;
    assert_claim_result!(store.claim(&again(&request)).await.unwrap(), ClaimResult::Busy(_));
    assert_claim_result!(store.claim(&world.locking("other", "lock")).await.unwrap(), ClaimResult::Locked(_));
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
}

pub async fn a_history_is_in_order_and_bounded(world: World) {
    let store = world.worker("one").await;
    let identity = world.identity("job");
    let first = attempt(1);
    assert_eq!(store.attempted(&identity, &first).await, Ok(()));
    assert_eq!(only(&store, identity.job_id()).await.attempts, [first]);
    let last = u32::try_from(MAX_ATTEMPTS_KEPT).unwrap() + 3;
    for number in 2..=last {
        assert_eq!(store.attempted(&identity, &attempt(number)).await, Ok(()));
    }
    let record = only(&store, identity.job_id()).await;
    let expected: Vec<_> = (4..=last).map(attempt).collect();
    assert_eq!(record.attempts, expected);
    assert_eq!((&*record.job_id, record.claim, record.progress), (&**identity.job_id(), None, None));
}

pub async fn the_last_progress_counts(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let identity = world.identity("job");
    for done in [1, 7] {
        assert_eq!(one.progress(&identity, &progress(done)).await, Ok(()));
    }
    let record = only(&other, identity.job_id()).await;
    assert_eq!((record.progress, record.attempts), (Some(progress(7)), Vec::new()));
}

pub async fn a_job_is_found_by_its_id(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let request = world.request("job");
    let first = granted(&one, &request).await.claim;
    let record = only(&other, request.identity.job_id()).await;
    assert_eq!(*record.job_id, **request.identity.job_id());
    let claim = record.claim.unwrap();
    assert_eq!((claim.state, claim.attempts), (JobState::Running, 1));
    assert_eq!((&*claim.key, &*claim.owner), (&**request.identity.key(), &*first.owner));
    assert_eq!((&*claim.job_type, &*claim.queue), (TYPE, QUEUE));
    assert_eq!((&*claim.message_id, claim.failure_reason, claim.result), (&*request.message_id, None, None));
    assert_eq!((&*claim.job_id, claim.finished_at_ms), (&**request.identity.job_id(), None));
    assert_eq!((record.scope.as_deref(), record.source, record.duplicate_of), (Some(SCOPE), None, None));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let until = Duration::from_millis(claim.claimed_until_ms);
    assert!(until > now + MOST_OF_IT && until < now + LONG + Duration::from_mins(1));

    assert_eq!(one.renew(&first, SHORT).await, Ok(Ownership::Kept));
    let claim = granted_in_time(&other, &again(&request)).await.claim;
    fail(&other, &claim).await;
    let record = only(&one, request.identity.job_id()).await.claim.unwrap();
    assert_eq!(
        (record.state, record.attempts, record.owner),
        (JobState::Waiting, 2, claim.owner.to_string())
    );

    let claim = granted(&other, &again(&again(&request))).await.claim;
    assert_eq!(other.finish(&claim, Some(&json(r#"{"a":1}"#))).await, Ok(Ownership::Kept));
    let record = only(&one, request.identity.job_id()).await.claim.unwrap();
    assert_eq!((record.state, record.attempts), (JobState::Done, 3));
    assert_eq!(record.result, Some(serde_json::json!({ "a": 1 })));
    let finished = Duration::from_millis(record.finished_at_ms.unwrap());
    assert!(finished + Duration::from_mins(1) > now && finished < now + Duration::from_mins(1));
}

pub async fn a_job_with_another_id_is_found_by_its_job_id(world: World) {
    let store = world.worker("one").await;
    let request = request_of(world.identity("key").with_job_id(world.name("id")));
    let claim = granted(&store, &request).await.claim;
    assert_eq!(claim.identity, request.identity);
    assert_eq!(store.attempted(&request.identity, &attempt(1)).await, Ok(()));
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
    let record = only(&store, &world.name("id")).await;
    assert_eq!((record.job_id, record.attempts.len()), (world.name("id"), 1));
    let claim = record.claim.unwrap();
    assert_eq!((claim.state, &*claim.key), (JobState::Done, &**request.identity.key()));
    assert_eq!(store.jobs(&world.name("key")).await, Ok(Vec::new()));
}

pub async fn a_job_that_runs_under_another_job_id_is_found_by_both(world: World) {
    let store = world.worker("one").await;
    let [first, second] =
        ["first", "second"].map(|id| request_of(world.identity("key").with_job_id(world.name(id))));
    fail(&store, &granted(&store, &first).await.claim).await;
    assert_eq!(store.attempted(&first.identity, &attempt(1)).await, Ok(()));
    let second = ClaimRequest { message_id: "another".into(), ..second };
    let claim = granted(&store, &second).await.claim;
    for request in [&first, &second] {
        let record = only(&store, request.identity.job_id()).await;
        assert_eq!((record.duplicate_of, record.attempts), (None, vec![attempt(1)]));
        let claim = record.claim.unwrap();
        assert_eq!((claim.state, &*claim.job_id), (JobState::Running, &**second.identity.job_id()));
    }
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
    let record = only(&store, first.identity.job_id()).await;
    assert_eq!(record.duplicate_of.unwrap().job_id, **second.identity.job_id());
}

pub async fn an_unknown_job_is_not_found(world: World) {
    let store = world.worker("one").await;
    assert_eq!(store.jobs(&world.name("unknown")).await, Ok(Vec::new()));
    assert_eq!(store.jobs("").await, Ok(Vec::new()));
}

pub async fn the_jobs_that_changed_last_are_listed_if_there_is_a_list(world: World) {
    let store = world.worker("one").await;
    for name in ["first", "second"] {
        let claim = granted(&store, &world.request(name)).await.claim;
        assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
        // So that they end in different milliseconds.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let job_id = Some(world.name("never-claimed"));
    let failed = AttemptRecord { at_ms: now.try_into().unwrap(), job_id, ..attempt(1) };
    assert_eq!(store.attempted(&world.identity("never-claimed"), &failed).await, Ok(()));
    let listed = match store.recent(MAX_RECENT).await {
        Err(StoreError::Refused(_)) => return,
        listed => listed.unwrap(),
    };
    assert_eq!(store.recent(1).await.unwrap().len(), 1);
    if listed.len() >= MAX_RECENT {
        // Others use this store, too, and their jobs may have displaced these.
        return;
    }
    let own = listed.iter().filter(|job| job.job_id.ends_with(world.mark()));
    let (claimed, others): (Vec<_>, Vec<_>) = own.partition(|job| job.claim.is_some());
    let ids: Vec<_> = claimed.iter().map(|job| job.job_id.clone()).collect();
    assert_eq!(ids, [world.name("second"), world.name("first")]);
    assert!(claimed.iter().all(|job| job.claim.as_ref().is_some_and(|claim| claim.state == JobState::Done)));
    let [other] = others[..] else { panic!("{others:?}") };
    assert_eq!((&other.job_id, &other.attempts), (&world.name("never-claimed"), &vec![failed]));
}

pub async fn a_job_is_found_by_its_message_if_there_is_a_list(world: World) {
    let store = world.worker("one").await;
    let request = ClaimRequest {
        message_id: world.name("message").into(),
        ..request_of(world.identity("key").with_job_id(world.name("job")))
    };
    let claim = granted(&store, &request).await.claim;
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
    let found = match store.of_message(&request.message_id).await {
        Err(StoreError::Refused(_)) => return,
        found => found.unwrap(),
    };
    let [job] = &found[..] else { panic!("{found:?}") };
    assert_eq!(job.job_id, world.name("job"));
    assert_eq!(store.of_message(&world.name("another")).await, Ok(Vec::new()));
}

pub async fn it_answers(world: World) {
    assert_eq!(world.worker("one").await.ping().await, Ok(()));
}
