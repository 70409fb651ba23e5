//! Tokens of rates that processes share.

use std::sync::Arc;
use std::time::Duration;

use drumline::core::MaybeReady;
use tokio::time::{Instant, sleep};

use crate::conformance::World;
use crate::{Store, StoreError, TOKEN_VALIDITY, TokenLease, TokenRequest};

/// Returns a request for a bucket that no other case uses.
pub fn request(world: &World, name: &str, rate: &str, burst: u32, most: u32) -> TokenRequest {
    TokenRequest {
        bucket: world.name(name),
        rate: rate.parse().unwrap(),
        burst: burst.try_into().unwrap(),
        most: most.try_into().unwrap(),
    }
}

/// Opens a process's store. Returns `None` if it leases no tokens.
pub async fn store(world: &World, owner: &str) -> Option<Arc<dyn Store>> {
    let store = world.worker(owner).await;
    match store.lease_tokens(&request(world, "none", "1/s", 1, 1)).await {
        Err(StoreError::Refused(_)) => None,
        leased => leased.map(|_| store).ok(),
    }
}

async fn lease(store: &Arc<dyn Store>, request: &TokenRequest) -> TokenLease {
    let leased = store.lease_tokens(request).await.unwrap();
    assert!(leased.tokens <= request.most.get(), "{leased:?}");
    assert_eq!(leased.valid_for, TOKEN_VALIDITY);
    leased
}

/// Returns the largest number of tokens that arrive in this time at ten a second.
fn at_ten(time: Duration) -> u32 {
    u32::try_from(time.as_millis() / 100).unwrap()
}

pub async fn a_bucket_gives_its_burst_and_then_its_rate(world: World) {
    let Some(store) = store(&world, "one").await else { return };
    let request = request(&world, "mail", "10/s", 20, 100);
    let begun = Instant::now();
    assert_eq!(lease(&store, &request).await.tokens, 20);
    let emptied = Instant::now();
    let mut taken = 0;
    for _ in 0..5 {
        sleep(Duration::from_millis(150)).await;
        taken += lease(&store, &request).await.tokens;
    }
    // The store reads its clock between the call and its answer.
    let (least, most) =
        (at_ten(emptied.elapsed().saturating_sub(Duration::from_millis(100))), at_ten(begun.elapsed()) + 1);
    assert!((least.saturating_sub(1)..=most).contains(&taken), "{least}..={most}: {taken}");
}

pub async fn a_bucket_fills_up_to_its_burst(world: World) {
    let Some(store) = store(&world, "one").await else { return };
    let request = request(&world, "mail", "50/s", 5, 100);
    for _ in 0..2 {
        assert_eq!(lease(&store, &request).await.tokens, 5);
        sleep(Duration::from_millis(400)).await;
    }
    assert_eq!(lease(&store, &request).await.tokens, 5, "not ten");
}

pub async fn a_lease_is_at_most_what_was_asked_for(world: World) {
    let Some(store) = store(&world, "one").await else { return };
    let some = request(&world, "mail", "1/h", 10, 4);
    assert_eq!([4, 4, 2, 0].map(Some), {
        let mut tokens = [None; 4];
        for leased in &mut tokens {
            *leased = Some(lease(&store, &some).await.tokens);
        }
        tokens
    });
}

pub async fn a_bucket_that_is_empty_says_when_to_ask_again(world: World) {
    let Some(store) = store(&world, "one").await else { return };
    let all = request(&world, "mail", "1/h", 10, 10);
    let hours = |lease: TokenLease| lease.next_in.as_secs_f64() / 3600.0;
    let half = lease(&store, &TokenRequest { most: 5.try_into().unwrap(), ..all.clone() }).await;
    assert_eq!((half.tokens, half.next_in), (5, Duration::ZERO), "five more are there");
    let rest = hours(lease(&store, &all).await);
    assert!((4.9..=5.0).contains(&rest), "half of the burst, after {rest} h");
    let none = hours(lease(&store, &TokenRequest { most: 1.try_into().unwrap(), ..all.clone() }).await);
    assert!((0.9..=1.0).contains(&none), "one, after {none} h");
}

pub async fn processes_share_a_bucket(world: World) {
    let Some(one) = store(&world, "one").await else { return };
    let other = store(&world, "other").await.unwrap();
    let request = request(&world, "mail", "1/h", 10, 3);
    let mut tokens = Vec::new();
    for store in [&one, &other, &one, &other, &one] {
        tokens.push(lease(store, &request).await.tokens);
    }
    assert_eq!(tokens, [3, 3, 3, 1, 0]);
}

pub async fn buckets_are_counted_apart(world: World) {
    let Some(store) = store(&world, "one").await else { return };
    let long = "x".repeat(400);
    let names = [
        "mail",
        "Mail",
        "mail\tä 'odd' \"key\" %_#{}",
        "mail\tc:1",
        "mail\tc:2",
        "mail\t",
        "mail\t\0",
        &long,
    ];
    for expected in [1, 0] {
        for name in names {
            let leased = lease(&store, &request(&world, name, "1/h", 1, 1)).await;
            assert_eq!(leased.tokens, expected, "{name:?}");
        }
    }
}

pub async fn the_lowest_and_the_highest_rates_are_kept(world: World) {
    let Some(store) = store(&world, "one").await else { return };
    let low = request(&world, "low", "1/h", 720, 720);
    assert_eq!(lease(&store, &low).await.tokens, 720);
    assert_eq!(lease(&store, &low).await.tokens, 0);
    let high = request(&world, "high", "1000000/s", 200_000, 100_000);
    for _ in 0..2 {
        assert_eq!(lease(&store, &high).await.tokens, 100_000);
    }
    let odd = request(&world, "odd", "7/m", 3, 2);
    assert_eq!([lease(&store, &odd).await.tokens, lease(&store, &odd).await.tokens], [2, 1]);
}

/// Without this, a rate that is raised from one an hour would take effect only after an hour.
pub async fn another_rule_counts_within_seconds(world: World) {
    let Some(store) = store(&world, "one").await else { return };
    let slow = request(&world, "mail", "1/h", 1, 1);
    assert_eq!(lease(&store, &slow).await.tokens, 1);
    let fast = TokenRequest { rate: "10/s".parse().unwrap(), ..slow };
    let leased = lease(&store, &fast).await;
    assert_eq!(leased.tokens, 0);
    let seconds = leased.next_in.as_secs_f64();
    assert!((4.0..=5.2).contains(&seconds), "{seconds}");
}

/// The answer is lost in transit.
pub async fn a_lease_whose_answer_is_lost_takes_tokens_at_most(world: World) {
    let Some(store) = store(&world, "one").await else { return };
    let request = request(&world, "mail", "1/h", 10, 5);
    {
        let lost: MaybeReady<'_, _> = store.lease_tokens(&request);
        let _ = tokio::time::timeout(Duration::ZERO, lost).await;
    }
    let mut tokens = 0;
    for _ in 0..4 {
        tokens += lease(&store, &request).await.tokens;
        sleep(Duration::from_millis(20)).await;
    }
    assert!([5, 10].contains(&tokens), "{tokens}");
}
