#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

const LONGEST: Jitter = Jitter::new(u32::MAX);

/// Tests may take a first instant from anywhere; all others follow from it.
#[allow(clippy::disallowed_methods, reason = "a first instant")]
fn start() -> Instant {
    Instant::now()
}

/// The waits, in milliseconds, of this number of receives that fail one after the other.
fn waits(failure: ReceiveFailure, rounds: usize) -> Vec<u128> {
    let (mut backoff, mut now) = (ReceiveBackoff::new(), start());
    let mut wait = || {
        let wait = backoff.failed(now, backoff.round(), failure, true, LONGEST).unwrap();
        now += wait;
        backoff.tick(now);
        wait.as_millis()
    };
    (0..rounds).map(|_| wait()).collect()
}

#[test]
fn waits_follow_the_cause() {
    assert_eq!(waits(ReceiveFailure::Unreachable, 8), [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    assert_eq!(waits(ReceiveFailure::Throttled, 5), [1_000, 2_000, 4_000, 5_000, 5_000]);
    assert_eq!(waits(ReceiveFailure::Refused, 7), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
}

#[test]
fn a_throttled_queue_spreads_its_waits_over_the_whole_time() {
    let mut backoff = ReceiveBackoff::new();
    let wait = backoff.failed(start(), backoff.round(), ReceiveFailure::Throttled, true, Jitter::new(0));
    assert_eq!(wait, Some(Duration::ZERO));
}

#[test]
fn failures_of_receives_in_flight_together_are_one_round() {
    let (mut backoff, now) = (ReceiveBackoff::new(), start());
    let round = backoff.round();
    let waits: Vec<_> =
        (0..20).map(|_| backoff.failed(now, round, ReceiveFailure::Unreachable, true, LONGEST)).collect();
    assert_eq!(waits[0], Some(Duration::from_millis(100)));
    assert!(waits[1..].iter().all(Option::is_none), "reported once: {waits:?}");
    assert_eq!(backoff.not_before(), Some(now + Duration::from_millis(100)));
    let next = backoff.failed(now, backoff.round(), ReceiveFailure::Unreachable, true, LONGEST);
    assert_eq!(next, Some(Duration::from_millis(200)), "the second round");
}

#[test]
fn a_success_ends_the_wait() {
    let (mut backoff, now) = (ReceiveBackoff::new(), start());
    for _ in 0..5 {
        backoff.failed(now, backoff.round(), ReceiveFailure::Unreachable, true, LONGEST);
    }
    backoff.succeeded();
    assert_eq!((backoff.not_before(), backoff.probes(), backoff.healthy()), (None, false, true));
}

#[test]
fn a_success_halves_what_throttling_has_grown_to() {
    let (mut backoff, now) = (ReceiveBackoff::new(), start());
    for _ in 0..4 {
        backoff.failed(now, backoff.round(), ReceiveFailure::Throttled, true, LONGEST);
    }
    let wait = backoff.not_before();
    backoff.succeeded();
    assert_eq!(backoff.not_before(), wait, "the rate is still too high");
    // Four rounds now count as two, so this is the third.
    let next = backoff.failed(now, backoff.round(), ReceiveFailure::Throttled, true, LONGEST);
    assert_eq!(next, Some(Duration::from_secs(4)));
}

#[test]
fn successes_pay_for_failures_beside_them() {
    let (mut backoff, now) = (ReceiveBackoff::new(), start());
    for _ in 0..50 {
        backoff.succeeded();
        backoff.failed(now, backoff.round(), ReceiveFailure::Unreachable, true, LONGEST);
        assert_eq!(backoff.not_before(), None);
    }
}

#[test]
fn an_outage_is_noticed_however_much_went_well_before() {
    let (mut backoff, now) = (ReceiveBackoff::new(), start());
    (0..1_000).for_each(|_| backoff.succeeded());
    let free = (0..100)
        .take_while(|_| {
            backoff.failed(now, backoff.round(), ReceiveFailure::Unreachable, true, LONGEST);
            backoff.not_before().is_none()
        })
        .count();
    assert_eq!(free, 20);
}

#[test]
fn no_success_pays_for_a_time_out() {
    let (mut backoff, now) = (ReceiveBackoff::new(), start());
    (0..10).for_each(|_| backoff.succeeded());
    let wait = backoff.failed(now, backoff.round(), ReceiveFailure::Unreachable, false, LONGEST);
    assert_eq!(wait, Some(Duration::from_millis(100)));
}

#[test]
fn failures_without_a_wait_are_reported_once_a_second() {
    let (mut backoff, begun) = (ReceiveBackoff::new(), start());
    let mut reported = 0;
    for step in 0..5_000 {
        let now = begun + Duration::from_millis(step);
        backoff.succeeded();
        let report = backoff.failed(now, backoff.round(), ReceiveFailure::Unreachable, true, LONGEST);
        reported += usize::from(report.is_some());
    }
    assert_eq!(reported, 5);
}

#[test]
fn a_blink_leaves_the_queue_healthy_and_an_outage_does_not() {
    let (mut backoff, mut now) = (ReceiveBackoff::new(), start());
    let mut healthy = Vec::new();
    for _ in 0..5 {
        now += backoff.failed(now, backoff.round(), ReceiveFailure::Unreachable, true, LONGEST).unwrap();
        healthy.push(backoff.healthy());
    }
    assert_eq!(healthy, [true, true, true, true, false], "1.5 s after the first failure");
    backoff.succeeded();
    assert!(backoff.healthy());
}

/// One event of some receives in flight.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Opens,
    Succeeds(usize),
    Fails(usize, ReceiveFailure, u32),
    Passes(u64),
}

fn happens() -> impl Strategy<Value = Happens> {
    let failure = prop_oneof![
        Just(ReceiveFailure::Unreachable),
        Just(ReceiveFailure::Throttled),
        Just(ReceiveFailure::Refused)
    ];
    prop_oneof![
        4 => Just(Happens::Opens),
        1 => any::<usize>().prop_map(Happens::Succeeds),
        4 => (any::<usize>(), failure, any::<u32>()).prop_map(|(pick, how, jitter)| Happens::Fails(pick, how, jitter)),
        1 => (0..3_000_u64).prop_map(Happens::Passes),
    ]
}

proptest! {
    /// Counted naively: a failed round begins with a failure whose receive was opened after the round before it had begun. Its
    /// wait is no longer than its rounds allow, and never longer than the longest of all kinds that failed.
    #[test]
    fn waits_are_bounded_by_rounds(script in prop::collection::vec(happens(), 1..200)) {
        let (mut backoff, begun) = (ReceiveBackoff::new(), start());
        let (mut now, mut open) = (begun, Vec::new());
        let (mut step, mut last_round, mut rounds, mut longest) = (0_u32, 0_u32, 0_u32, Duration::ZERO);
        for happens in script {
            step += 1;
            match happens {
                Happens::Opens => open.push((backoff.round(), step)),
                Happens::Passes(millis) => now += Duration::from_millis(millis),
                Happens::Succeeds(pick) if !open.is_empty() => {
                    open.swap_remove(pick % open.len());
                    backoff.succeeded();
                    // Throttling decays and does not end, so its rounds continue to count here.
                    prop_assert!(!backoff.probes());
                }
                Happens::Fails(pick, how, jitter) if !open.is_empty() => {
                    let (round, opened_at) = open.swap_remove(pick % open.len());
                    let before = backoff.not_before();
                    backoff.failed(now, round, how, true, Jitter::new(jitter));
                    if opened_at > last_round && backoff.round() > round {
                        (rounds, last_round) = (rounds + 1, step);
                        let most = if how == ReceiveFailure::Refused { 30 } else { 5 };
                        longest = longest.max(Duration::from_secs(most));
                    } else {
                        prop_assert_eq!(backoff.not_before(), before, "no new round, no longer wait");
                    }
                }
                Happens::Succeeds(_) | Happens::Fails(..) => {}
            }
            backoff.tick(now);
            let wait = backoff.not_before().map_or(Duration::ZERO, |at| at - now);
            let allowed = Duration::from_secs(1).saturating_mul(1 << rounds.min(6).saturating_sub(1));
            prop_assert!(wait <= allowed.min(longest), "{:?} after {} rounds", wait, rounds);
        }
    }
}
