//! Jobs with the same identity, and jobs that only look alike.

use std::time::Duration;

use crate::{JobState, MAX_MATCHES};
use drumline::core::{ClaimRequest, ClaimResult, Ownership, ReleaseClaim};
use drumline::message::Identity;

use crate::assert_claim_result;
use crate::conformance::World;
use crate::conformance::steps::{QUEUE, SCOPE, TYPE, again, fail, granted, json, only, request_of, text};
use crate::conformance::steps::{attempt, progress};

/// Returns identities that differ in one part each, or in a character that some store may not support.
fn alike(world: &World) -> Vec<Identity> {
    let id = world.name("1");
    let mut alike = vec![
        Identity::new(SCOPE, TYPE, Some("/shop-a"), id.as_str()),
        Identity::new(SCOPE, TYPE, Some("/shop-b"), id.as_str()),
        Identity::new(SCOPE, TYPE, None, id.as_str()),
        Identity::new(SCOPE, "order.created", None, id.as_str()),
        Identity::new("arn:aws:sqs:eu-west-1:123456789012:other", TYPE, None, id.as_str()),
        Identity::global(SCOPE, TYPE, id.as_str()),
    ];
    for end in ["\0", "\u{1}", "\u{1}0", "\u{fffd}", "%00", "\n", "\r", "\u{7f}", "\u{80}", " "] {
        alike.push(Identity::new(SCOPE, TYPE, None, format!("{id}{end}")));
    }
    for part in ["\0", "\u{fffd}", "%00"] {
        alike.push(Identity::new(format!("{SCOPE}{part}"), TYPE, None, id.as_str()));
        alike.push(Identity::new(SCOPE, format!("{TYPE}{part}"), None, id.as_str()));
        alike.push(Identity::new(SCOPE, TYPE, Some(part), id.as_str()));
    }
    alike
}

pub async fn identities_that_differ_in_one_part_never_meet(world: World) {
    let store = world.worker("one").await;
    let requests: Vec<_> = alike(&world).into_iter().map(request_of).collect();
    for (index, request) in requests.iter().enumerate() {
        let claim = granted(&store, request).await.claim;
        let (number, result) = (u32::try_from(index).unwrap(), index.to_string());
        assert_eq!(store.attempted(&request.identity, &attempt(number)).await, Ok(()));
        assert_eq!(store.progress(&request.identity, &progress(u64::from(number))).await, Ok(()));
        assert_eq!(store.finish(&claim, Some(&json(&result))).await, Ok(Ownership::Kept));
    }
    for (index, request) in requests.iter().enumerate() {
        let (number, identity) = (u32::try_from(index).unwrap(), &request.identity);
        let admission = store.claim(&again(request)).await.unwrap();
        assert_claim_result!(admission, ClaimResult::Done(run) if text(run.result.as_deref()) == Some(&*index.to_string()));
        let jobs = store.jobs(identity.job_id()).await.unwrap();
        let others = requests.iter().filter(|other| other.identity.job_id() == identity.job_id());
        assert_eq!(jobs.len(), others.count(), "{identity:?}");
        let is_its_own = |claim: &crate::ClaimRecord| *claim.key == **identity.key();
        let own: Vec<_> = jobs.iter().filter(|job| job.claim.as_ref().is_some_and(is_its_own)).collect();
        let [job] = own[..] else { panic!("{} records of {identity:?}", own.len()) };
        assert_eq!(job.attempts, [attempt(number)]);
        assert_eq!(job.progress, Some(progress(u64::from(number))));
        assert_eq!(job.scope.as_deref(), Some(&**identity.scope()));
        assert_eq!(job.source.as_deref(), identity.source().map(|source| &**source));
        let claim = job.claim.as_ref().unwrap();
        assert_eq!((&*claim.job_type, &*claim.job_id), (&**identity.job_type(), &**identity.job_id()));
    }
}

pub async fn an_empty_source_is_no_source(world: World) {
    let store = world.worker("one").await;
    let [none, empty] = [None, Some("")].map(|source| Identity::new(SCOPE, TYPE, source, world.name("1")));
    granted(&store, &request_of(none)).await;
    assert_claim_result!(store.claim(&request_of(empty)).await.unwrap(), ClaimResult::Busy(_));
}

pub async fn an_id_that_looks_like_a_key_is_an_id(world: World) {
    let store = world.worker("one").await;
    let victim = world.request("victim");
    let claim = granted(&store, &victim).await.claim;
    assert_eq!(store.finish(&claim, Some(&json("1"))).await, Ok(Ownership::Kept));
    let key = victim.identity.key();
    for id in
        [key.to_string(), format!("job:{key}"), format!("job#{key}"), format!(",{key}"), format!("{key}\0")]
    {
        for identity in [
            Identity::new(SCOPE, TYPE, None, id.as_str()),
            Identity::new("", "", None, id.as_str()),
            Identity::global("", "", id.as_str()),
        ] {
            let claim = granted(&store, &request_of(identity)).await.claim;
            fail(&store, &claim).await;
        }
    }
    let admission = store.claim(&again(&victim)).await.unwrap();
    assert_claim_result!(admission, ClaimResult::Done(run) if text(run.result.as_deref()) == Some("1"));
    let record = only(&store, victim.identity.job_id()).await;
    assert_eq!((record.claim.unwrap().state, record.attempts.len()), (JobState::Done, 0));
}

pub async fn jobs_of_one_id_are_listed_newest_first_and_bounded(world: World) {
    let store = world.worker("one").await;
    let request = |scope: usize| {
        let queue = format!("queue-{scope}");
        let identity = Identity::new(format!("arn:{queue}"), TYPE, None, world.name("1"));
        ClaimRequest { queue: queue.into(), ..request_of(identity) }
    };
    let id = world.name("1");
    for scope in 0..MAX_MATCHES + 3 {
        let claim = granted(&store, &request(scope)).await.claim;
        assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
        // So that they end in different milliseconds.
        tokio::time::sleep(Duration::from_millis(3)).await;
        let queues: Vec<_> =
            store.jobs(&id).await.unwrap().into_iter().map(|job| job.claim.unwrap().queue).collect();
        let expected: Vec<_> =
            (0..=scope).rev().take(MAX_MATCHES).map(|scope| format!("queue-{scope}")).collect();
        if scope < MAX_MATCHES {
            assert_eq!(queues, expected);
        } else {
            // DynamoDB keeps only the newest when its set is full.
            assert!(!queues.is_empty());
            assert_eq!(queues, expected[..queues.len()]);
        }
    }
}

pub async fn a_duplicate_is_done_and_shows_what_it_duplicates(world: World) {
    let (one, other) = (world.worker("one").await, world.worker("other").await);
    let with_job_id = |id: &str| request_of(world.identity("key").with_job_id(world.name(id)));
    let original = with_job_id("original");
    let duplicate =
        ClaimRequest { message_id: "another".into(), queue: "mirror".into(), ..with_job_id("duplicate") };
    let claim = granted(&one, &original).await.claim;
    assert_claim_result!(other.claim(&duplicate).await.unwrap(), ClaimResult::Busy(_));
    assert_eq!(one.finish(&claim, Some(&json("[7]"))).await, Ok(Ownership::Kept));

    for request in [&duplicate, &again(&duplicate), &again(&original)] {
        let ClaimResult::Done(run) = other.claim(request).await.unwrap() else { panic!("is not done") };
        assert_eq!(text(run.result.as_deref()), Some("[7]"));
        assert_eq!((run.job_id, &*run.message_id), (world.name("original"), &*original.message_id));
        assert_eq!((&*run.queue, &*run.worker), (QUEUE, &*claim.owner));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let finished = Duration::from_millis(run.finished_at_ms.unwrap());
        assert!(finished + Duration::from_mins(1) > now && finished < now + Duration::from_mins(1));
    }

    let record = only(&other, &world.name("duplicate")).await;
    assert_eq!(record.job_id, world.name("duplicate"));
    let of = record.duplicate_of.unwrap();
    assert_eq!((of.job_id, &*of.message_id), (world.name("original"), &*original.message_id));
    assert_eq!((&*of.queue, &*of.worker), (QUEUE, &*claim.owner));
    let claim = record.claim.unwrap();
    assert_eq!(of.finished_at_ms, claim.finished_at_ms);
    assert_eq!((claim.state, claim.result), (JobState::Done, Some(serde_json::json!([7]))));

    let record = only(&one, &world.name("original")).await;
    assert_eq!((record.duplicate_of, record.claim.unwrap().job_id), (None, world.name("original")));
}

pub async fn another_message_of_the_identity_has_its_own_budget(world: World) {
    let store = world.worker("one").await;
    let request = world.request("job");
    let condemned = async |request: &ClaimRequest| {
        let grant = granted(&store, request).await;
        let how = ReleaseClaim { count_attempt: true, failure_reason: Some("no".to_owned()), dead: false };
        assert_eq!(store.release_claim(&grant.claim, &how).await, Ok(Ownership::Kept));
        assert_claim_result!(store.claim(&again(request)).await.unwrap(), ClaimResult::FailedPermanently(_));
        grant.attempt.get()
    };
    fail(&store, &granted(&store, &request).await.claim).await;
    assert_eq!(condemned(&again(&request)).await, 2);
    // Also under another job id, and for messages with similar ids.
    let identity = Identity::clone(&request.identity).with_job_id(world.name("other"));
    for message_id in ["another", "another\0", "another\u{fffd}", "another\u{1}"] {
        let another = ClaimRequest { message_id: message_id.into(), ..request_of(identity.clone()) };
        assert_eq!(condemned(&another).await, 1, "{message_id:?}");
    }
}
