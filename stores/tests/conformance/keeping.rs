//! For how long things are kept, and what people are shown of them.

use std::time::Duration;

use drumline::{Admission, ClaimRequest, Held, Surrender};
use drumline_store::{AttemptRecord, JobState, Keep, MAX_ATTEMPTS_KEPT, ProgressRecord};

use crate::assert_admission;
use crate::world::{LONG, MOST_OF_IT, SHORT, World, again, eventually, fail, granted, granted_in_time, json};

const LONG_KEPT: Duration = Duration::from_secs(3600);

fn attempt(number: u32) -> AttemptRecord {
    AttemptRecord {
        at_ms: 1_700_000_000_000 + u64::from(number),
        message_id: "m-1".to_owned(),
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
    }
}

fn progress(done: u64) -> ProgressRecord {
    ProgressRecord { at_ms: 1_700_000_000_000, done, total: 10, unit: "rows".to_owned() }
}

pub async fn a_done_job_is_forgotten_in_time(world: World) {
    let keep = Keep { done: SHORT, history: LONG_KEPT };
    let store = world.worker_keeping("one", keep).await;
    let request = world.request("job");
    let claim = granted(&store, &request).await.claim;
    assert_eq!(store.finish(&claim, Some(&json("1"))).await, Ok(Held::Ours));
    eventually("a done job is forgotten", async || store.job(&request.job_id).await.unwrap().is_none()).await;
    let grant = granted(&store, &ClaimRequest { payload_hash: 1, ..request }).await;
    assert_eq!(grant.attempt.get(), 1);
}

pub async fn a_failed_job_is_forgotten_in_time(world: World) {
    // Long enough to look at what came after it.
    let keep = Keep { done: LONG_KEPT, history: Duration::from_secs(1) };
    let store = world.worker_keeping("one", keep).await;
    let request = world.request("job");
    let claim = granted(&store, &request).await.claim;
    assert_eq!(store.checkpoint(&claim, &json("1")).await, Ok(Held::Ours));
    assert_eq!(store.attempted(&request.job_id, &attempt(1)).await, Ok(()));
    assert_eq!(store.progress(&request.job_id, &progress(1)).await, Ok(()));
    let how = Surrender { spared: false, verdict: Some("no".to_owned()) };
    assert_eq!(store.surrender(&claim, &how).await, Ok(Held::Ours));
    eventually("a failed job is forgotten", async || store.job(&request.job_id).await.unwrap().is_none())
        .await;
    let grant = granted(&store, &request).await;
    assert_eq!((grant.attempt.get(), grant.checkpoint.is_none()), (1, true));
    // What came after that is not mixed up with what was before.
    assert_eq!(store.attempted(&request.job_id, &attempt(1)).await, Ok(()));
    let record = store.job(&request.job_id).await.unwrap().unwrap();
    assert_eq!((record.attempts.len(), record.progress), (1, None));
}

pub async fn a_running_job_is_never_forgotten(world: World) {
    let store = world.worker_keeping("one", Keep { done: SHORT, history: SHORT }).await;
    let request = world.locking("job", "lock");
    let claim = granted(&store, &request).await.claim;
    let brief = world.request("brief");
    assert_eq!(store.attempted(&brief.job_id, &attempt(1)).await, Ok(()));
    fail(&store, &granted(&store, &brief).await.claim).await;
    eventually("another is forgotten", async || store.job(&brief.job_id).await.unwrap().is_none()).await;
    assert_admission!(store.claim(&again(&request)).await.unwrap(), Admission::Held(_));
    assert_admission!(store.claim(&world.locking("other", "lock")).await.unwrap(), Admission::Locked(_));
    assert_eq!(store.finish(&claim, None).await, Ok(Held::Ours));
}

pub async fn a_history_is_in_order_and_bounded(world: World) {
    let store = world.worker("one").await;
    let job_id = world.name("job");
    let first = attempt(1);
    assert_eq!(store.attempted(&job_id, &first).await, Ok(()));
    assert_eq!(store.job(&job_id).await.unwrap().unwrap().attempts, [first]);
    let last = u32::try_from(MAX_ATTEMPTS_KEPT).unwrap() + 3;
    for number in 2..=last {
        assert_eq!(store.attempted(&job_id, &attempt(number)).await, Ok(()));
    }
    let record = store.job(&job_id).await.unwrap().unwrap();
    let expected: Vec<_> = (4..=last).map(attempt).collect();
    assert_eq!(record.attempts, expected);
    assert_eq!((record.job_id, record.claim, record.progress), (job_id, None, None));
}

pub async fn the_last_progress_counts(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let job_id = world.name("job");
    for done in [1, 7] {
        assert_eq!(one.progress(&job_id, &progress(done)).await, Ok(()));
    }
    let record = other.job(&job_id).await.unwrap().unwrap();
    assert_eq!((record.progress, record.attempts), (Some(progress(7)), Vec::new()));
}

pub async fn a_job_is_found_by_its_id(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let request = world.request("job");
    let first = granted(&one, &request).await.claim;
    let record = other.job(&request.job_id).await.unwrap().unwrap();
    assert_eq!(*record.job_id, *request.job_id);
    let claim = record.claim.unwrap();
    assert_eq!((claim.state, claim.attempts), (JobState::Running, 1));
    assert_eq!((&*claim.key, &*claim.owner), (&*request.key, &*first.owner));
    assert_eq!((&*claim.job_type, &*claim.queue), (&*request.job_type, &*request.queue));
    assert_eq!((&*claim.message_id, claim.verdict, claim.result), (&*request.message_id, None, None));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let until = Duration::from_millis(claim.claimed_until_ms);
    assert!(until > now + MOST_OF_IT && until < now + LONG + Duration::from_mins(1));

    assert_eq!(one.renew(&first, SHORT).await, Ok(Held::Ours));
    let claim = granted_in_time(&other, &again(&request)).await.claim;
    fail(&other, &claim).await;
    let record = one.job(&request.job_id).await.unwrap().unwrap().claim.unwrap();
    assert_eq!(
        (record.state, record.attempts, record.owner),
        (JobState::Waiting, 2, claim.owner.to_string())
    );

    let claim = granted(&other, &again(&again(&request))).await.claim;
    assert_eq!(other.finish(&claim, Some(&json(r#"{"a":1}"#))).await, Ok(Held::Ours));
    let record = one.job(&request.job_id).await.unwrap().unwrap().claim.unwrap();
    assert_eq!((record.state, record.attempts), (JobState::Done, 3));
    assert_eq!(record.result, Some(serde_json::json!({ "a": 1 })));
}

pub async fn a_job_with_another_key_is_found_by_its_id(world: World) {
    let store = world.worker("one").await;
    let request = ClaimRequest { job_id: world.name("id").into(), ..world.request("key") };
    let claim = granted(&store, &request).await.claim;
    assert_eq!((&claim.key, &claim.job_id), (&request.key, &request.job_id));
    assert_eq!(store.attempted(&request.job_id, &attempt(1)).await, Ok(()));
    assert_eq!(store.finish(&claim, None).await, Ok(Held::Ours));
    let record = store.job(&request.job_id).await.unwrap().unwrap();
    assert_eq!((&*record.job_id, record.attempts.len()), (&*request.job_id, 1));
    let claim = record.claim.unwrap();
    assert_eq!((claim.state, &*claim.key), (JobState::Done, &*request.key));
}

pub async fn a_key_that_went_to_another_job_is_that_one_s(world: World) {
    let store = world.worker("one").await;
    let first = ClaimRequest { job_id: world.name("first").into(), ..world.request("key") };
    fail(&store, &granted(&store, &first).await.claim).await;
    assert_eq!(store.attempted(&first.job_id, &attempt(1)).await, Ok(()));
    let second = ClaimRequest {
        job_id: world.name("second").into(),
        message_id: "another".into(),
        ..world.request("key")
    };
    granted(&store, &second).await;
    let record = store.job(&second.job_id).await.unwrap().unwrap();
    assert_eq!((record.claim.unwrap().attempts, record.attempts), (1, Vec::new()));
    let record = store.job(&first.job_id).await.unwrap().unwrap();
    assert_eq!((record.claim, record.attempts), (None, vec![attempt(1)]));
    assert_eq!(store.job(&first.key).await, Ok(None));
}

pub async fn an_unknown_job_is_not_found(world: World) {
    let store = world.worker("one").await;
    assert_eq!(store.job(&world.name("unknown")).await, Ok(None));
    assert_eq!(store.job("").await, Ok(None));
}

pub async fn it_answers(world: World) {
    assert_eq!(world.worker("one").await.ping().await, Ok(()));
}
