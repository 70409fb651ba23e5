#![allow(clippy::unwrap_used)]
use super::*;

const WAIT: Duration = Duration::from_secs(20);

/// Tests may take a first instant from anywhere; all others follow from it.
#[allow(clippy::disallowed_methods)]
fn start() -> Instant {
    Instant::now()
}

fn open_all(receives: &mut Receives, now: Instant, free: usize, concurrency: usize) -> Vec<Receive> {
    std::iter::from_fn(|| receives.next(now, free, concurrency)).collect()
}

#[test]
fn a_quiet_queue_has_one_open_receive() {
    let (mut receives, mut now) = (Receives::new(WAIT, 32), start());
    let mut asked = 0;
    for _ in 0..3 {
        let opened = open_all(&mut receives, now, 32, 32);
        assert_eq!(opened.len(), 1);
        assert_eq!(opened[0].max, 10);
        asked += 1;
        now += WAIT;
        receives.landed(opened[0].id, 0);
    }
    assert_eq!(asked, 3, "three receives in a minute");
}

#[test]
fn full_answers_widen_and_empty_ones_narrow() {
    let (mut receives, now) = (Receives::new(WAIT, 100), start());
    let mut widths = Vec::new();
    for _ in 0..4 {
        let opened = open_all(&mut receives, now, 100, 100);
        widths.push(opened.len());
        for receive in opened {
            receives.landed(receive.id, receive.max);
        }
    }
    assert_eq!(widths, [1, 2, 4, 8]);
    while receives.width > 1 {
        for receive in open_all(&mut receives, now, 100, 100) {
            receives.landed(receive.id, 0);
        }
    }
    assert_eq!(open_all(&mut receives, now, 100, 100).len(), 1);
}

#[test]
fn free_places_are_never_exceeded() {
    let (mut receives, now) = (Receives::new(WAIT, 32), start());
    receives.width = 4;
    let opened = open_all(&mut receives, now, 32, 32);
    assert_eq!(opened.iter().map(|r| r.max).collect::<Vec<_>>(), [10, 10, 10]);
    assert_eq!(open_all(&mut receives, now, 30, 32), []);
}

#[test]
fn few_free_places_gather_where_more_is_waiting() {
    let (mut receives, now) = (Receives::new(WAIT, 32), start());
    let first = receives.next(now, 32, 32).unwrap();
    receives.landed(first.id, 10);
    assert_eq!(receives.next(now, 3, 32), None);
    assert_eq!(receives.timeout(), Some(now + GATHER));
    assert_eq!(receives.next(now + GATHER, 4, 32).unwrap().max, 4);
}

#[test]
fn one_place_is_asked_for_at_once_where_there_is_but_one() {
    let (mut receives, now) = (Receives::new(WAIT, 1), start());
    let first = receives.next(now, 1, 1).unwrap();
    receives.landed(first.id, 1);
    assert_eq!(receives.next(now, 1, 1).unwrap().max, 1);
}

/// Fails a receive, as an endpoint that cannot be reached does.
fn fail(receives: &mut Receives, now: Instant, id: ReceiveId) -> Option<Duration> {
    receives.failed(now, id, ReceiveFailure::Unreachable, Jitter::new(u32::MAX))
}

#[test]
fn failures_slow_the_asking_down() {
    let (mut receives, mut now) = (Receives::new(WAIT, 32), start());
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
    receives.landed(receive.id, 0);
    assert!(receives.healthy());
}

#[test]
fn one_receive_probes_while_all_fail_and_the_others_follow_its_success() {
    let (mut receives, mut now) = (Receives::new(WAIT, 100), start());
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
    receives.landed(probe.id, 10);
    assert_eq!(open_all(&mut receives, now, 100, 100).len(), 9, "as many as before, and one more");
}

#[test]
fn a_probe_goes_out_beside_receives_that_neither_fail_nor_end() {
    let (mut receives, mut now) = (Receives::new(WAIT, 100), start());
    receives.width = 3;
    let opened = open_all(&mut receives, now, 100, 100);
    fail(&mut receives, now, opened[0].id);
    now += Duration::from_millis(100);
    assert_eq!(receives.timeout(), Some(now));
    receives.tick(now);
    assert_eq!(open_all(&mut receives, now, 80, 100).len(), 1);
}

/// The messages that a minute of receives brings, each answered after a millisecond, `failing` of a hundred with a failure.
fn brought_in_a_minute(failing: u64) -> usize {
    let (mut receives, begun) = (Receives::new(WAIT, 40), start());
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
                receives.landed(receive.id, receive.max);
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
fn a_hanging_receive_is_replaced_but_only_so_often() {
    let (mut receives, mut now) = (Receives::new(WAIT, 32), start());
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
    // Late is not never: what it brings is taken, and asking goes on.
    receives.landed(first.id, 2);
    assert!(receives.next(now, 32, 32).is_some());
}

#[test]
fn a_stopped_machine_asks_no_more() {
    let (mut receives, now) = (Receives::new(WAIT, 32), start());
    let receive = receives.next(now, 32, 32).unwrap();
    receives.stop();
    assert!(receives.any_open());
    assert_eq!(receives.timeout(), None);
    receives.landed(receive.id, 0);
    assert_eq!(receives.next(now, 32, 32), None);
    assert!(!receives.any_open());
}
