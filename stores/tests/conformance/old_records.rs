//! Records of version 0.1: the decisions that still depend on them, and both versions running beside each other.

use std::sync::Arc;
use std::time::Duration;

use drumline::core::{ClaimRequest, ClaimResult, Ownership};
use drumline::message::Identity;
use drumline_store::{AttemptRecord, JobState};

use drumline_store::assert_claim_result;

use crate::old_format::{Job, OWNER, Worker};
use crate::world::{
    LONG, MOST_OF_IT, QUEUE, SCOPE, TYPE, World, again, attempt, eventually, fail, granted, granted_in_time,
    json, only, progress, request_of, short, text,
};

/// The states of an old record.
const STATES: [&str; 4] = ["running", "waiting", "condemned", "done"];

async fn leave(old: &mut Worker, job: &Job, state: &str) {
    let fencing_token = old.granted(job).await;
    old.checkpoint(job, fencing_token, "[1]").await;
    match state {
        "waiting" => old.release_claim(job, fencing_token, None).await,
        "condemned" => old.release_claim(job, fencing_token, Some("no")).await,
        "done" => old.finish(job, fencing_token, "[7]").await,
        _ => {}
    }
}

/// Asserts that no old record affects a request.
async fn is_granted_anew(world: &World, request: &ClaimRequest) {
    let store = world.worker("one").await;
    let grant = granted(&store, request).await;
    assert_eq!((grant.claim.fencing_token, grant.attempt.get()), (1, 1), "{request:?}");
    assert!(grant.checkpoint.is_none());
    fail(&store, &grant.claim).await;
}

pub async fn an_old_done_job_answers_with_its_run(world: World) {
    let (store, mut old) = (world.worker("one").await, Worker::start(&world).await);
    let request = world.request("job");
    leave(&mut old, &Job::of(&request), "done").await;
    // Also if the request has another job id.
    let duplicate = Identity::clone(&request.identity).with_job_id(world.name("duplicate"));
    let duplicate = ClaimRequest { message_id: "another".into(), ..request_of(duplicate) };
    for request in [&again(&request), &duplicate, &world.locking("job", "lock")] {
        let ClaimResult::Done(run) = store.claim(request).await.unwrap() else { panic!("is not done") };
        assert_eq!(text(run.result.as_deref()), Some("[7]"));
        assert_eq!((run.job_id, &*run.message_id), (world.name("job"), &*world.request("job").message_id));
        assert_eq!((&*run.queue, &*run.worker, run.finished_at_ms), (QUEUE, OWNER, None));
    }
    granted(&store, &world.locking("other", "lock")).await;
}

pub async fn an_old_running_job_is_held_until_it_expires(world: World) {
    let (store, mut old) = (world.worker("one").await, Worker::start(&world).await);
    let request = world.request("job");
    leave(&mut old, &Job::of(&request), "running").await;
    let admission = store.claim(&request).await.unwrap();
    assert_claim_result!(admission, ClaimResult::Busy(left) if *left <= LONG && *left > MOST_OF_IT);
    let request = world.request("brief");
    leave(&mut old, &Job::of(&short(request.clone())), "running").await;
    let grant = granted_in_time(&store, &again(&request)).await;
    assert_eq!((grant.claim.fencing_token, grant.attempt.get()), (2, 2));
    assert_eq!(text(grant.checkpoint.as_deref()), Some("[1]"));
}

pub async fn an_old_verdict_is_about_its_message(world: World) {
    let (store, mut old) = (world.worker("one").await, Worker::start(&world).await);
    let request = world.request("job");
    leave(&mut old, &Job::of(&request), "condemned").await;
    assert_claim_result!(store.claim(&again(&request)).await.unwrap(), ClaimResult::FailedPermanently(why) if why == "no");
    let redriven = ClaimRequest { message_id: "another".into(), ..request };
    let grant = granted(&store, &redriven).await;
    assert_eq!((grant.claim.fencing_token, grant.attempt.get()), (2, 1));
}

pub async fn an_old_waiting_job_continues_where_it_was(world: World) {
    let (store, mut old) = (world.worker("one").await, Worker::start(&world).await);
    for (name, lock) in [("job", None), ("locking", Some(world.name("lock")))] {
        let request = ClaimRequest { lock, ..world.request(name) };
        let job = Job { lock: None, ..Job::of(&request) };
        leave(&mut old, &job, "waiting").await;
        leave(&mut old, &job, "waiting").await;
        let grant = granted(&store, &again(&again(&request))).await;
        assert_eq!((grant.claim.fencing_token, grant.attempt.get()), (3, 3));
        assert_eq!(text(grant.checkpoint.as_deref()), Some("[1]"));
        fail(&store, &grant.claim).await;
        // From here on, the new record decides.
        let grant = granted(&store, &again(&again(&again(&request)))).await;
        assert_eq!((grant.claim.fencing_token, grant.attempt.get()), (4, 4));
        assert_eq!(text(grant.checkpoint.as_deref()), Some("[1]"));
        assert_eq!(store.finish(&grant.claim, None).await, Ok(Ownership::Kept));
        assert_claim_result!(store.claim(&request).await.unwrap(), ClaimResult::Done(run) if run.result.is_none());
        // The old record is unchanged.
        assert_eq!(old.granted(&job).await, 3);
    }
}

pub async fn an_old_record_of_another_queue_type_or_payload_is_ignored(world: World) {
    let mut old = Worker::start(&world).await;
    for state in STATES {
        let request = |what: &str| world.request(&format!("{what} {state}"));
        let queue = ClaimRequest { queue: "another".into(), ..request("queue") };
        let payload = ClaimRequest { payload_hash: 1, ..request("payload") };
        let (scope, id) = (SCOPE, Arc::clone(request("type").identity.id()));
        let job_type = request_of(Identity::new(scope, "another", None, id));
        for (before, after) in
            [(request("queue"), queue), (request("payload"), payload), (request("type"), job_type)]
        {
            leave(&mut old, &Job::of(&before), state).await;
            is_granted_anew(&world, &after).await;
        }
    }
}

/// A job that failed once in a new worker, and that an old worker has taken over since.
pub async fn what_an_old_worker_does_beside_a_new_one_counts(world: World) {
    let mut old = Worker::start(&world).await;
    let store = world.worker("one").await;
    for state in STATES {
        let request = world.request(&format!("taken over {state}"));
        let first = granted(&store, &request).await;
        fail(&store, &first.claim).await;
        for _ in 0..3 {
            let fencing_token = old.granted(&Job::of(&request)).await;
            old.release_claim(&Job::of(&request), fencing_token, None).await;
        }
        leave(&mut old, &Job::of(&request), state).await;
        let answer = store.claim(&again(&request)).await.unwrap();
        match state {
            "done" => assert!(matches!(answer, ClaimResult::Done(_)), "{answer:?}"),
            "running" => assert!(matches!(answer, ClaimResult::Busy(_)), "{answer:?}"),
            "condemned" => assert!(matches!(answer, ClaimResult::FailedPermanently(_)), "{answer:?}"),
            _ => {
                let ClaimResult::Granted(grant) = answer else { panic!("{answer:?}") };
                assert_eq!(grant.claim.fencing_token, 5, "larger than those of both");
                assert_eq!(grant.attempt.get(), 2, "the attempts of the newer record continue");
            }
        }
        let done = store.claim(&request).await.unwrap();
        assert!(!matches!(done, ClaimResult::Mismatch), "{done:?}");
    }
}

pub async fn an_old_record_may_be_of_another_source(world: World) {
    let mut old = Worker::start(&world).await;
    for state in STATES {
        let id = |name: &str| Arc::clone(world.request(&format!("{name} {state}")).identity.id());
        let from = |name: &str| request_of(Identity::new(SCOPE, TYPE, Some("/shop"), id(name)));
        leave(&mut old, &Job::of(&from("another message")), state).await;
        let other = ClaimRequest { message_id: "another".into(), ..from("another message") };
        is_granted_anew(&world, &other).await;
        leave(&mut old, &Job::of(&from("same message")), state).await;
        let store = world.worker("one").await;
        let answer = store.claim(&from("same message")).await.unwrap();
        let is_new = matches!(&answer, ClaimResult::Granted(grant) if grant.claim.fencing_token == 1);
        assert!(!is_new, "{state}: {answer:?}");
    }
}

pub async fn an_old_record_does_not_count_if_none_is_asked_for(world: World) {
    let mut old = Worker::start(&world).await;
    for state in STATES {
        let request = world.request(state);
        leave(&mut old, &Job::of(&request), state).await;
        is_granted_anew(&world, &ClaimRequest { legacy_key: None, ..request }).await;
    }
}

pub async fn an_old_record_does_not_count_after_its_time(world: World) {
    let (store, mut old) = (world.worker("one").await, Worker::start(&world).await);
    for state in ["waiting", "condemned", "done"] {
        let request = world.request(state);
        let job = Job { history: Duration::from_secs(1), ..Job::of(&request) };
        leave(&mut old, &job, state).await;
        eventually("an old record expires", async || {
            store.jobs(request.identity.job_id()).await.unwrap().is_empty()
        })
        .await;
        is_granted_anew(&world, &request).await;
    }
}

pub async fn old_records_are_shown_among_the_jobs(world: World) {
    let (store, mut old) = (world.worker("one").await, Worker::start(&world).await);
    let request = world.request("job");
    let job = Job::of(&request);
    let of_queue = |queue: &str, number| AttemptRecord { queue: queue.to_owned(), ..attempt(number) };
    leave(&mut old, &job, "waiting").await;
    old.attempted(&job, &of_queue(QUEUE, 2)).await;
    old.attempted(&job, &of_queue("another", 4)).await;
    old.progress(&job, &progress(3)).await;
    let record = only(&store, &job.job_id).await;
    assert_eq!((record.job_id, record.progress), (job.job_id.clone(), Some(progress(3))));
    assert_eq!(record.attempts, [of_queue(QUEUE, 2), of_queue("another", 4)]);
    let claim = record.claim.unwrap();
    assert_eq!((claim.state, &*claim.job_type, &*claim.owner), (JobState::Waiting, TYPE, OWNER));

    // Merged with the new data of its queue and type. Data of another queue belongs to another job.
    let claim = granted(&store, &again(&request)).await.claim;
    fail(&store, &claim).await;
    assert_eq!(store.attempted(&request.identity, &of_queue(QUEUE, 6)).await, Ok(()));
    let jobs = store.jobs(&job.job_id).await.unwrap();
    let [new, other] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!(new.claim.as_ref().map(|claim| &*claim.key), Some(&**request.identity.key()));
    assert_eq!(new.attempts, [of_queue(QUEUE, 2), of_queue(QUEUE, 6)]);
    assert_eq!(new.progress, Some(progress(3)));
    assert_eq!((&other.claim, &other.attempts[..]), (&None, &[of_queue("another", 4)][..]));
}

pub async fn an_old_job_with_another_key_is_found_by_its_job_id(world: World) {
    let (store, mut old) = (world.worker("one").await, Worker::start(&world).await);
    let job = Job { job_id: world.name("id"), ..Job::of(&world.request("key")) };
    leave(&mut old, &job, "done").await;
    let claim = only(&store, &job.job_id).await.claim.unwrap();
    assert_eq!((claim.state, claim.job_id, claim.key), (JobState::Done, job.job_id, job.key));
    assert_eq!(claim.result, Some(serde_json::json!([7])));
}

pub async fn old_workers_continue_after_new_ones(world: World) {
    let (store, mut old) = (world.worker("one").await, Worker::start(&world).await);
    for state in STATES {
        let request = world.request(state);
        let claim = granted(&store, &request).await.claim;
        assert_eq!(store.attempted(&request.identity, &attempt(1)).await, Ok(()));
        assert_eq!(store.progress(&request.identity, &progress(1)).await, Ok(()));
        if state == "done" {
            assert_eq!(store.finish(&claim, Some(&json("1"))).await, Ok(Ownership::Kept));
        }
        // By the same id, and by others that a producer may choose.
        let job = Job::of(&request);
        for key in
            [job.key.clone(), request.identity.key().to_string(), format!("job:{}", request.identity.key())]
        {
            leave(&mut old, &Job { key, ..job.clone() }, state).await;
        }
        let record = store.jobs(request.identity.job_id()).await.unwrap();
        let is_new = |claim: &drumline_store::ClaimRecord| *claim.key == **request.identity.key();
        assert!(record.iter().filter_map(|job| job.claim.as_ref()).any(is_new), "{record:?}");
        match state {
            "done" => {
                let admission = store.claim(&again(&request)).await.unwrap();
                assert_claim_result!(admission, ClaimResult::Done(run) if text(run.result.as_deref()) == Some("1"));
            }
            _ => assert_eq!(store.renew(&claim, LONG).await, Ok(Ownership::Kept)),
        }
    }
}

pub async fn locks_are_held_against_workers_of_both_versions(world: World) {
    let (store, mut old) = (world.worker("one").await, Worker::start(&world).await);
    let claim = granted(&store, &world.locking("new", "lock")).await.claim;
    assert_eq!(old.claim(&Job::of(&world.locking("old", "lock"))).await.0, "locked");
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
    old.granted(&Job::of(&world.locking("old", "lock"))).await;
    assert_claim_result!(store.claim(&world.locking("other", "lock")).await.unwrap(), ClaimResult::Locked(_));
}
