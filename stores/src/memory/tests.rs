//! What only the memory store promises. The rest is in the conformance suite.
#![allow(clippy::unwrap_used)]

use super::claims::FORGOTTEN_AT_ONCE;
use super::*;

const ARN: &str = "arn:aws:sqs:eu-west-1:123456789012:jobs";

pub(super) fn request(id: &str) -> ClaimRequest {
    ClaimRequest {
        identity: Arc::new(Identity::new(ARN, "image.process", None, id)),
        legacy_key: None,
        payload_hash: 1,
        lock: None,
        length: Duration::from_secs(30),
        queue: "jobs".into(),
        message_id: "m-1".into(),
        receive_count: 1,
    }
}

pub(super) fn store() -> MemoryStore {
    MemoryStore::new("worker-1".into(), Retention::default())
}

pub(super) async fn granted(store: &MemoryStore, request: &ClaimRequest) -> Arc<Claim> {
    match store.claim(request).await.unwrap() {
        ClaimResult::Granted(grant) => grant.claim,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_oldest_claim_is_removed_first_but_never_a_running_one() {
    let store = store();
    let running = granted(&store, &request("running")).await;
    for index in 0..MAX_RECORDS + FORGOTTEN_AT_ONCE {
        let claim = granted(&store, &request(&format!("job-{index}"))).await;
        assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
    }
    let answers =
        [(0, false), (FORGOTTEN_AT_ONCE - 1, false), (FORGOTTEN_AT_ONCE, true), (MAX_RECORDS, true)];
    for (index, is_known) in answers {
        assert_eq!(!store.jobs(&format!("job-{index}")).await.unwrap().is_empty(), is_known, "{index}");
    }
    assert_eq!(store.renew(&running, Duration::from_secs(30)).await, Ok(Ownership::Kept));
}

#[tokio::test(start_paused = true)]
async fn what_took_long_is_not_forgotten_as_soon_as_it_is_done() {
    let store = store();
    let others = async |range: std::ops::Range<usize>| {
        for index in range {
            let claim = granted(&store, &request(&format!("job-{index}"))).await;
            assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
        }
    };
    let long = granted(&store, &request("long")).await;
    others(0..MAX_RECORDS - 1).await;
    assert_eq!(store.finish(&long, None).await, Ok(Ownership::Kept));
    others(MAX_RECORDS..MAX_RECORDS + MAX_RECORDS / 2).await;
    assert!(matches!(store.claim(&request("long")).await, Ok(ClaimResult::Done(_))));
}

#[tokio::test(start_paused = true)]
async fn what_jobs_leave_is_bounded_in_bytes() {
    let store = store();
    let result = RawValue::from_string(format!("\"{}\"", "x".repeat(32 * 1024 - 2))).unwrap();
    let fitting = MAX_BYTES / result.get().len();
    for index in 0..fitting + 10 {
        let claim = granted(&store, &request(&format!("job-{index}"))).await;
        assert_eq!(store.finish(&claim, Some(&result)).await, Ok(Ownership::Kept));
    }
    assert!(store.jobs("job-0").await.unwrap().is_empty());
    assert!(!store.jobs(&format!("job-{fitting}")).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_producers_choose_is_bounded_in_bytes() {
    let store = store();
    let of = |index: usize| {
        let text = |part: &str| format!("{part}{index:01000}");
        let identity = Identity::new(ARN, text("type"), Some(&text("source")), text("id"));
        ClaimRequest { identity: Arc::new(identity.with_job_id(text("job"))), ..request("") }
    };
    // A type, a source and a job id of 1,000 bytes, and a key.
    let fitting = MAX_BYTES / 3_000;
    for index in 0..=fitting {
        let claim = granted(&store, &of(index)).await;
        assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
    }
    for (index, is_known) in [(0, false), (fitting, true)] {
        let jobs = store.jobs(of(index).identity.job_id()).await.unwrap();
        assert_eq!(!jobs.is_empty(), is_known, "{index}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_all_claims_run_the_next_one_has_to_wait() {
    let store = store();
    for index in 0..MAX_RECORDS + FORGOTTEN_AT_ONCE {
        granted(&store, &request(&format!("job-{index}"))).await;
    }
    assert!(store.claim(&request("another")).await.is_err());
    tokio::time::advance(Duration::from_secs(30)).await;
    granted(&store, &request("another")).await;
}

#[tokio::test(start_paused = true)]
async fn the_counter_grows_even_over_what_was_forgotten() {
    let keep = Retention { done: Duration::from_secs(1), history: Duration::from_secs(1) };
    let store = MemoryStore::new("worker-1".into(), keep);
    let first = granted(&store, &request("a")).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(granted(&store, &request("a")).await.fencing_token > first.fencing_token);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_by_sqs_as_other_processes_make_some_too() {
    let store = store();
    let third = ClaimRequest { receive_count: 3, ..request("a") };
    let ClaimResult::Granted(grant) = store.claim(&third).await.unwrap() else { panic!() };
    assert_eq!(grant.attempt.get(), 3);
    let how = ReleaseClaim { count_attempt: false, failure_reason: None, dead: false };
    assert_eq!(store.release_claim(&grant.claim, &how).await, Ok(Ownership::Kept));
    let fourth = ClaimRequest { receive_count: 4, ..third };
    let ClaimResult::Granted(grant) = store.claim(&fourth).await.unwrap() else { panic!() };
    assert_eq!(grant.attempt.get(), 3);
}

/// `cargo test -p drumline-store --release -- --ignored --nocapture speed`. The best of some rounds, because others may
/// use the processor, too.
#[tokio::test]
#[ignore = "a measurement, for optimised builds"]
#[allow(clippy::print_stdout)]
async fn speed_of_claim_and_finish() {
    const ROUNDS: usize = 50;
    const CLAIMS: usize = 10_000;
    let store = store();
    // All jobs of a worker share the texts of their queue and their type.
    let any = request("");
    let request = |index| {
        let (scope, job_type) = (Arc::clone(any.identity.scope()), Arc::clone(any.identity.job_type()));
        let identity = Identity::new(scope, job_type, None, format!("01J9ZC6V0QX3{index:014}"));
        ClaimRequest {
            identity: Arc::new(identity),
            message_id: format!("{index:036}").into(),
            ..any.clone()
        }
    };
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let requests: Vec<_> = (round * CLAIMS..(round + 1) * CLAIMS).map(request).collect();
        let begun = std::time::Instant::now();
        // Each request goes with its job, and then only the store has its identity.
        for request in requests {
            let claim = granted(&store, &request).await;
            store.finish(&claim, None).await.unwrap();
        }
        rounds.push(begun.elapsed() / u32::try_from(CLAIMS).unwrap());
    }
    // The first ten fill the store; from then on, each new job has an old one forgotten.
    let best = |rounds: &[Duration]| rounds.iter().min().copied();
    println!("claim and finish: filling {:?}, full {:?}", best(&rounds[..10]), best(&rounds[10..]));
}
