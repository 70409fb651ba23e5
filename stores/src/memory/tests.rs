//! What only the memory store promises. The rest is in the conformance suite.
#![allow(clippy::unwrap_used)]

use super::*;

fn request(key: &str) -> ClaimRequest {
    ClaimRequest {
        key: key.into(),
        payload_hash: 1,
        lock: None,
        length: Duration::from_secs(30),
        job_id: key.into(),
        job_type: "image.process".into(),
        queue: "jobs".into(),
        message_id: "m-1".into(),
        receive_count: 1,
    }
}

fn store() -> MemoryStore {
    MemoryStore::new("worker-1".into(), Keep::default())
}

async fn granted(store: &MemoryStore, request: &ClaimRequest) -> Arc<Claim> {
    match store.claim(request).await.unwrap() {
        Admission::Granted(grant) => grant.claim,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_job_claimed_longest_ago_is_forgotten_first_and_a_running_one_never() {
    let store = store();
    let running = granted(&store, &request("running")).await;
    for index in 0..=MAX_RECORDS {
        let claim = granted(&store, &request(&format!("job-{index}"))).await;
        assert_eq!(store.finish(&claim, None).await, Ok(Held::Ours));
    }
    let answers = [("job-0", false), ("job-1", false), ("job-2", true)];
    for (key, is_known) in answers {
        assert_eq!(store.job(key).await.unwrap().is_some(), is_known, "{key}");
    }
    assert_eq!(store.renew(&running, Duration::from_secs(30)).await, Ok(Held::Ours));
}

#[tokio::test(start_paused = true)]
async fn what_took_long_is_not_forgotten_as_soon_as_it_is_done() {
    let store = store();
    let others = async |range: std::ops::Range<usize>| {
        for index in range {
            let claim = granted(&store, &request(&format!("job-{index}"))).await;
            assert_eq!(store.finish(&claim, None).await, Ok(Held::Ours));
        }
    };
    let long = granted(&store, &request("long")).await;
    others(0..MAX_RECORDS - 1).await;
    assert_eq!(store.finish(&long, None).await, Ok(Held::Ours));
    others(MAX_RECORDS..MAX_RECORDS + MAX_RECORDS / 2).await;
    assert!(matches!(store.claim(&request("long")).await, Ok(Admission::Done(None))));
}

#[tokio::test(start_paused = true)]
async fn what_jobs_leave_is_bounded_in_bytes() {
    let store = store();
    let result = RawValue::from_string(format!("\"{}\"", "x".repeat(32 * 1024 - 2))).unwrap();
    let fitting = MAX_BYTES / result.get().len();
    for index in 0..fitting + 10 {
        let claim = granted(&store, &request(&format!("job-{index}"))).await;
        assert_eq!(store.finish(&claim, Some(&result)).await, Ok(Held::Ours));
    }
    assert!(store.job("job-0").await.unwrap().is_none());
    assert!(store.job(&format!("job-{fitting}")).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn where_all_claims_run_the_next_one_has_to_wait() {
    let store = store();
    for index in 0..MAX_RECORDS {
        granted(&store, &request(&format!("job-{index}"))).await;
    }
    assert!(store.claim(&request("another")).await.is_err());
    tokio::time::advance(Duration::from_secs(30)).await;
    granted(&store, &request("another")).await;
}

#[tokio::test(start_paused = true)]
async fn the_counter_grows_even_over_what_was_forgotten() {
    let keep = Keep { done: Duration::from_secs(1), history: Duration::from_secs(1) };
    let store = MemoryStore::new("worker-1".into(), keep);
    let first = granted(&store, &request("a")).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(granted(&store, &request("a")).await.counter > first.counter);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_by_sqs_as_other_processes_make_some_too() {
    let store = store();
    let third = ClaimRequest { receive_count: 3, ..request("a") };
    let Admission::Granted(grant) = store.claim(&third).await.unwrap() else { panic!() };
    assert_eq!(grant.attempt.get(), 3);
    let how = Surrender { spared: true, verdict: None };
    assert_eq!(store.surrender(&grant.claim, &how).await, Ok(Held::Ours));
    let fourth = ClaimRequest { receive_count: 4, ..third };
    let Admission::Granted(grant) = store.claim(&fourth).await.unwrap() else { panic!() };
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
    let requests: Vec<_> =
        (0..ROUNDS * CLAIMS).map(|index| request(&format!("01J9ZC6V0QX3{index:014}"))).collect();
    let mut rounds = Vec::new();
    for requests in requests.chunks(CLAIMS) {
        let begun = std::time::Instant::now();
        for request in requests {
            let claim = granted(&store, request).await;
            store.finish(&claim, None).await.unwrap();
        }
        rounds.push(begun.elapsed() / u32::try_from(CLAIMS).unwrap());
    }
    // The first ten fill the store; from then on, each new job has an old one forgotten.
    let best = |rounds: &[Duration]| rounds.iter().min().copied();
    println!("claim and finish: filling {:?}, full {:?}", best(&rounds[..10]), best(&rounds[10..]));
}
