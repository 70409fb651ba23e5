#![allow(clippy::unwrap_used)]
use super::*;
use crate::core::pace::EMPTY_EVERY;
use proptest::prelude::*;

const WAIT: Duration = Duration::from_secs(20);

/// Tests may take a first instant from anywhere; all others follow from it.
#[allow(clippy::disallowed_methods)]
fn start() -> Instant {
    Instant::now()
}

/// Receives of a process that is no longer careful: they are as large as they can be.
fn quick(wait_time: Duration, concurrency: usize) -> Receives {
    Receives { each: MAX_RECEIVE, careful_until: Some(start()), ..Receives::new(wait_time, concurrency) }
}

fn open_all(receives: &mut Receives, now: Instant, free: usize, concurrency: usize) -> Vec<Receive> {
    std::iter::from_fn(|| receives.next(now, free, concurrency)).collect()
}

#[test]
fn a_quiet_queue_has_one_open_receive() {
    let (mut receives, mut now) = (quick(WAIT, 32), start());
    let mut asked = 0;
    for _ in 0..3 {
        let opened = open_all(&mut receives, now, 32, 32);
        assert_eq!(opened.len(), 1);
        assert_eq!(opened[0].max, 10);
        asked += 1;
        now += WAIT;
        receives.landed(now, opened[0].id, 0);
    }
    assert_eq!(asked, 3, "three receives in a minute");
}

/// The messages that each of five receives requests, if it returns `missing` fewer.
fn asked_by_five(receives: &mut Receives, now: Instant, missing: usize) -> Vec<usize> {
    let mut asked = Vec::new();
    for _ in 0..5 {
        let opened = open_all(receives, now, 32, 32);
        asked.push(opened.iter().map(|receive| receive.max).sum());
        receives.landed(now, opened[0].id, opened[0].max - missing.min(opened[0].max - 1));
        for receive in &opened[1..] {
            receives.landed(now, receive.id, 1);
        }
    }
    asked
}

#[test]
fn a_new_process_requests_few_messages_and_doubles_while_full() {
    let (mut receives, now) = (Receives::new(WAIT, 32), start());
    assert_eq!(asked_by_five(&mut receives, now, 0), [1, 2, 4, 8, 10]);
    let (mut receives, now) = (Receives::new(WAIT, 32), start());
    assert_eq!(
        asked_by_five(&mut receives, now, 1),
        [1, 2, 1, 2, 1],
        "what comes next may be what a crash has left"
    );
    let later = now + CAREFUL;
    assert_eq!(asked_by_five(&mut receives, later, 1), [2, 4, 8, 10, 10]);
}

#[test]
fn a_careful_process_receives_last_receives_alone() {
    let (mut receives, now) = (Receives::new(WAIT, 32), start());
    let max = |receives: &mut Receives, now| receives.next(now, 32, 32).unwrap();
    let first = max(&mut receives, now);
    receives.landed(now, first.id, 1);
    receives.brought_last_receives(now);
    let second = max(&mut receives, now);
    assert_eq!(second.max, 1);
    let later = now + CAREFUL;
    receives.landed(later, second.id, 1);
    receives.brought_last_receives(later);
    let third = max(&mut receives, later);
    assert_eq!(third.max, 2, "long after the start they need not be of a crash");
    receives.landed(later, third.id, 2);
    receives.slow_to(later, 1);
    let fourth = max(&mut receives, later);
    assert_eq!(fourth.max, 1);
    receives.landed(later, fourth.id, 1);
    receives.brought_last_receives(later);
    assert_eq!(max(&mut receives, later).max, 1);
}

#[test]
fn full_answers_widen_and_empty_ones_narrow() {
    let (mut receives, mut now) = (quick(WAIT, 100), start());
    let mut widths = Vec::new();
    for _ in 0..4 {
        let opened = open_all(&mut receives, now, 100, 100);
        widths.push(opened.len());
        for receive in opened {
            receives.landed(now, receive.id, receive.max);
        }
    }
    assert_eq!(widths, [1, 2, 4, 8]);
    while receives.width > 1 {
        let opened = open_all(&mut receives, now, 100, 100);
        now += WAIT;
        for receive in opened {
            receives.landed(now, receive.id, 0);
        }
    }
    assert_eq!(open_all(&mut receives, now, 100, 100).len(), 1);
}

#[test]
fn free_places_are_never_exceeded() {
    let (mut receives, now) = (quick(WAIT, 32), start());
    receives.width = 4;
    let opened = open_all(&mut receives, now, 32, 32);
    assert_eq!(opened.iter().map(|r| r.max).collect::<Vec<_>>(), [10, 10, 10]);
    assert_eq!(open_all(&mut receives, now, 30, 32), []);
}

#[test]
fn few_free_places_gather_where_more_is_waiting() {
    let (mut receives, now) = (quick(WAIT, 32), start());
    let first = receives.next(now, 32, 32).unwrap();
    receives.landed(now, first.id, 10);
    assert_eq!(receives.next(now, 3, 32), None);
    assert_eq!(receives.timeout(), Some(now + GATHER));
    assert_eq!(receives.next(now + GATHER, 4, 32).unwrap().max, 4);
}

#[test]
fn one_place_is_asked_for_at_once_where_there_is_but_one() {
    let (mut receives, now) = (quick(WAIT, 1), start());
    let first = receives.next(now, 1, 1).unwrap();
    receives.landed(now, first.id, 1);
    assert_eq!(receives.next(now, 1, 1).unwrap().max, 1);
}

/// Fails a receive, like an endpoint that is unreachable.
fn fail(receives: &mut Receives, now: Instant, id: ReceiveId) -> Option<Duration> {
    receives.failed(now, id, ReceiveFailure::Unreachable, Jitter::new(u32::MAX))
}

#[test]
fn the_time_that_sqs_asks_for_is_a_least_wait_within_bounds() {
    let table = [(50, 100), (7_000, 7_000), (86_400_000, 30_000)];
    for (asked, waited) in table {
        let (mut receives, now) = (quick(WAIT, 32), start());
        let receive = receives.next(now, 32, 32).unwrap();
        receives.hold(now, Duration::from_millis(asked));
        fail(&mut receives, now, receive.id);
        assert_eq!(receives.timeout(), Some(now + Duration::from_millis(waited)), "{asked}");
        assert_eq!(receives.next(now, 32, 32), None);
    }
}

#[test]
fn failures_slow_the_asking_down() {
    let (mut receives, mut now) = (quick(WAIT, 32), start());
    let mut waits = Vec::new();
    for _ in 0..7 {
        let receive = receives.next(now, 32, 32).unwrap();
        waits.push(fail(&mut receives, now, receive.id).unwrap().as_millis());
        assert_eq!(receives.next(now, 32, 32), None);
        now = receives.timeout().unwrap();
        receives.tick(now);
    }
    assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 5_000]);
    assert!(!receives.healthy());
    let receive = receives.next(now, 32, 32).unwrap();
    receives.landed(now, receive.id, 0);
    assert!(receives.healthy());
}

#[test]
fn one_receive_probes_while_all_fail_and_others_follow_later() {
    let (mut receives, mut now) = (quick(WAIT, 100), start());
    receives.width = 8;
    let opened = open_all(&mut receives, now, 100, 100);
    assert_eq!(opened.len(), 8);
    let reports = opened.iter().filter_map(|receive| fail(&mut receives, now, receive.id)).count();
    assert_eq!(reports, 1);
    for _ in 0..4 {
        now = receives.timeout().unwrap();
        receives.tick(now);
        let probes = open_all(&mut receives, now, 100, 100);
        assert_eq!(probes.len(), 1, "one for each round");
        fail(&mut receives, now, probes[0].id);
    }
    now = receives.timeout().unwrap();
    receives.tick(now);
    let probe = receives.next(now, 100, 100).unwrap();
    receives.landed(now, probe.id, 10);
    assert_eq!(open_all(&mut receives, now, 100, 100).len(), 9, "as many as before, and one more");
}

#[test]
fn a_probe_goes_out_beside_receives_that_neither_fail_nor_end() {
    let (mut receives, mut now) = (quick(WAIT, 100), start());
    receives.width = 3;
    let opened = open_all(&mut receives, now, 100, 100);
    fail(&mut receives, now, opened[0].id);
    now += Duration::from_millis(100);
    assert_eq!(receives.timeout(), Some(now));
    receives.tick(now);
    assert_eq!(open_all(&mut receives, now, 80, 100).len(), 1);
}

/// The messages that a minute of receives returns, each answered after a millisecond, `failing` of a hundred with a failure.
fn brought_in_a_minute(failing: u64) -> usize {
    let (mut receives, begun) = (quick(WAIT, 40), start());
    let (mut in_flight, mut brought, mut draw) = (Vec::new(), 0, 1_u64);
    let mut now = begun;
    while now < begun + Duration::from_secs(60) {
        for receive in open_all(&mut receives, now, 40, 40) {
            in_flight.push((now + Duration::from_millis(1), receive));
        }
        let answered = in_flight.iter().map(|(at, _)| *at).min();
        now = [answered, receives.timeout()].into_iter().flatten().min().unwrap();
        receives.tick(now);
        let (answered, rest) = in_flight.into_iter().partition(|(at, _)| *at <= now);
        in_flight = rest;
        let answered: Vec<(Instant, Receive)> = answered;
        for (_, receive) in answered {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if (draw >> 33) % 100 < failing {
                let jitter = Jitter::new(u32::try_from(draw >> 32).unwrap());
                receives.failed(now, receive.id, ReceiveFailure::Unreachable, jitter);
            } else {
                receives.landed(now, receive.id, receive.max);
                brought += receive.max;
            }
        }
    }
    brought
}

#[test]
fn a_share_of_receives_that_works_keeps_the_worker_busy() {
    let undisturbed = brought_in_a_minute(0);
    for (failing, least) in [(10, 80), (30, 60), (50, 30)] {
        let share = brought_in_a_minute(failing) * 100 / undisturbed;
        assert!(share >= least, "{share} % of the messages at {failing} % failures");
    }
}

#[test]
fn an_endpoint_that_does_not_wait_gets_ten_requests_a_second() {
    for wait_time in [WAIT, Duration::ZERO] {
        let (mut receives, begun) = (quick(wait_time, 100), start());
        receives.width = 8;
        let (mut now, mut asked, mut reports) = (begun, 0, 0);
        while now < begun + Duration::from_secs(10) {
            receives.tick(now);
            let opened = open_all(&mut receives, now, 100, 100);
            assert!(opened.len() == 1 || now == begun, "one at a time");
            asked += opened.len();
            for receive in opened {
                reports += usize::from(receives.landed(now, receive.id, 0));
            }
            now = receives.timeout().unwrap();
        }
        assert_eq!((asked, reports), (8 + 99, 1));
    }
}

#[test]
fn what_brings_messages_is_not_slowed() {
    let (mut receives, mut now) = (quick(Duration::ZERO, 32), start());
    for _ in 0..1_000 {
        let receive = receives.next(now, 32, 32).unwrap();
        now += Duration::from_millis(1);
        receives.landed(now, receive.id, 1);
    }
    let empty = receives.next(now, 32, 32).unwrap();
    receives.landed(now, empty.id, 0);
    assert_eq!(receives.next(now, 32, 32), None);
    now += EMPTY_EVERY;
    let receive = receives.next(now, 32, 32).unwrap();
    receives.landed(now, receive.id, 1);
    assert!(receives.next(now, 32, 32).is_some(), "at once");
}

#[test]
fn an_empty_long_poll_is_followed_by_the_next_at_once() {
    let (mut receives, mut now) = (quick(WAIT, 32), start());
    let receive = receives.next(now, 32, 32).unwrap();
    now += EMPTY_EVERY;
    assert!(!receives.landed(now, receive.id, 0));
    assert!(receives.next(now, 32, 32).is_some());
}

#[test]
fn a_hanging_receive_is_replaced_but_only_so_often() {
    let (mut receives, mut now) = (quick(WAIT, 32), start());
    let first = receives.next(now, 32, 32).unwrap();
    for _ in 1..MAX_OVERDUE {
        now = receives.timeout().unwrap();
        assert_eq!(receives.tick(now), 1);
        assert!(!receives.healthy());
        assert!(receives.next(now, 32, 32).is_some());
    }
    now = receives.timeout().unwrap();
    assert_eq!(receives.tick(now), 1);
    assert_eq!(receives.next(now, 32, 32), None);
    // Late messages are still accepted, and further receives follow.
    receives.landed(now, first.id, 2);
    assert!(receives.next(now, 32, 32).is_some());
}

#[test]
fn a_stopped_machine_asks_no_more() {
    let (mut receives, now) = (quick(WAIT, 32), start());
    let receive = receives.next(now, 32, 32).unwrap();
    receives.stop();
    assert!(receives.any_open());
    assert_eq!(receives.timeout(), None);
    receives.landed(now, receive.id, 0);
    assert_eq!(receives.next(now, 32, 32), None);
    assert!(!receives.any_open());
}

proptest! {
    /// Regardless of what the endpoint does within milliseconds: in any second, at most ten receives are empty at once beyond those that
    /// follow messages, and those that were open when it began.
    #[test]
    fn the_pace_is_kept(answers in prop::collection::vec((0..4_usize, 0..30_u64), 1..400), width in 1..8_usize) {
        let (mut receives, mut now) = (quick(Duration::ZERO, 100), start());
        receives.width = width;
        let (mut open, mut empty, mut full) = (Vec::new(), Vec::new(), Vec::new());
        for (messages, millis) in answers {
            receives.tick(now);
            open.extend(open_all(&mut receives, now, 100, 100));
            if let Some(receive) = open.pop() {
                let count = if messages == 3 { 2 } else { 0 };
                receives.landed(now, receive.id, count);
                if count > 0 { &mut full } else { &mut empty }.push(now);
            } else {
                now = receives.timeout().unwrap();
            }
            now += Duration::from_millis(millis / 10);
        }
        for from in &empty {
            let within = |times: &[Instant]| times.iter().filter(|at| *from <= **at && **at < *from + Duration::from_secs(1)).count();
            // Each answer with messages may be followed by as many receives as are open at once.
            let allowed = 10 + (within(&full) + 1) * (width + full.len().min(8));
            prop_assert!(within(&empty) <= allowed, "{} in a second, {} allowed", within(&empty), allowed);
        }
    }
}
