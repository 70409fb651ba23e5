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

#[test]
fn failures_slow_the_asking_down() {
    let (mut receives, mut now) = (Receives::new(WAIT, 32), start());
    let mut waits = Vec::new();
    for failure in 1..=7 {
        let receive = receives.next(now, 32, 32).unwrap();
        waits.push(receives.failed(now, receive.id, Jitter::new(u32::MAX)).as_secs());
        assert_eq!(receives.next(now, 32, 32), None);
        assert_eq!(receives.healthy(), failure < 3);
        now = receives.timeout().unwrap();
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    let receive = receives.next(now, 32, 32).unwrap();
    receives.landed(receive.id, 0);
    assert!(receives.healthy());
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
