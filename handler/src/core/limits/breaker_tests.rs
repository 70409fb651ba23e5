#![allow(clippy::unwrap_used)]

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::core::limits::half_open::scripts::{Closing, Happened, Model, play, steps};

#[derive(Debug)]
enum Event {
    /// A run ended while jobs started freely.
    Counted {
        at: Instant,
        failed: bool,
    },
    Paused {
        at: Instant,
        spread: Jitter,
    },
}

#[derive(Debug)]
struct History {
    rule: BreakerRule,
    history: Vec<Happened<Event>>,
}

impl History {
    /// The counted endings break the rule.
    fn is_broken(&self, now: Instant) -> bool {
        let counted = self.since_open().iter().filter_map(|event| match event {
            Happened::Own(Event::Counted { at, failed }) => Some((*at, *failed)),
            _ => None,
        });
        let counted: Vec<_> = counted.collect();
        let in_a_row = counted.iter().rev().take_while(|(_, failed)| *failed).count();
        let first = counted[0].0;
        let part = |at: Instant| (at - first).as_millis() / (self.rule.window / 10).as_millis();
        let of_window: Vec<_> = counted.iter().filter(|(at, _)| part(now) - part(*at) < 10).collect();
        let failed = of_window.iter().filter(|(_, failed)| *failed).count();
        let has_share = self.rule.share.is_some_and(|share| {
            of_window.len() >= self.rule.min_runs.get() as usize
                && share.is_reached(failed as u64, of_window.len() as u64)
        });
        has_share || self.rule.failures.is_some_and(|most| in_a_row >= most.get() as usize)
    }
}

impl Model for History {
    type Event = Event;

    fn history(&self) -> &Vec<Happened<Event>> {
        &self.history
    }

    fn history_mut(&mut self) -> &mut Vec<Happened<Event>> {
        &mut self.history
    }

    fn closes(event: &Event) -> bool {
        matches!(event, Event::Paused { .. })
    }

    fn until(&self) -> Option<Instant> {
        let pauses = self.since_open().iter().filter_map(|event| match event {
            Happened::Own(Event::Paused { at, spread }) => Some((*at, *spread)),
            _ => None,
        });
        let (number, (at, spread)) = pauses.enumerate().last()?;
        let longest = self.rule.pause.max(Duration::from_secs(600));
        let pause = (self.rule.pause * 2_u32.pow(u32::try_from(number).unwrap().min(12))).min(longest);
        Some(at + pause + spread.of(pause / 4))
    }

    fn ended(&mut self, now: Instant, run: usize, ending: &Ending, spread: Jitter) {
        let failed = match ending {
            Ending::Done | Ending::Rejected { .. } => Some(false),
            Ending::RetryAsked { .. } | Ending::Panicked { .. } | Ending::TimedOut => Some(true),
            _ => None,
        };
        match failed {
            Some(failed) if self.until().is_none() => {
                self.happens(Happened::Own(Event::Counted { at: now, failed }));
                if failed && self.is_broken(now) {
                    self.happens(Happened::Own(Event::Paused { at: now, spread }));
                }
            }
            Some(failed) if self.probe() == Some(run) => self.happens(if failed {
                Happened::Own(Event::Paused { at: now, spread })
            } else {
                Happened::Opened
            }),
            _ => {}
        }
    }
}

impl Closing for Breaker {
    fn half_open(&self) -> &HalfOpen {
        self.half_open()
    }

    fn half_open_mut(&mut self) -> &mut HalfOpen {
        self.half_open_mut()
    }

    fn ended(&mut self, now: Instant, ending: &Ending, probe: Option<ProbeOf>, spread: Jitter) {
        self.ended(now, ending, probe, spread);
    }
}

fn rules() -> impl Strategy<Value = BreakerRule> {
    let number = |most: u32| (1..=most).prop_map(|number| NonZeroU32::new(number).unwrap());
    let share = (1_u8..=100).prop_map(|percent| format!("{percent}%").parse().unwrap());
    let rule = (prop::option::of(number(4)), prop::option::of(share), 1_u64..100, number(6), 1_u64..800);
    rule.prop_map(|(failures, share, window, min_runs, pause)| BreakerRule {
        failures,
        share,
        window: Duration::from_secs(window),
        min_runs,
        pause: Duration::from_secs(pause),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn pauses_and_resumes_as_the_history_says(rule in rules(), steps in steps(), spreads in any::<u32>()) {
        let breaker = Breaker::new(&rule);
        // Pauses are longer than those of a throttle.
        play((breaker, History { rule, history: Vec::new() }), steps, 5, spreads)?;
    }
}

fn rule() -> BreakerRule {
    BreakerRule {
        failures: None,
        share: None,
        window: Duration::from_secs(60),
        min_runs: NonZeroU32::new(4).unwrap(),
        pause: Duration::from_secs(30),
    }
}

#[allow(clippy::disallowed_methods, reason = "a test's own clock")]
fn start() -> Instant {
    Instant::now()
}

fn why(breaker: &Breaker) -> Option<String> {
    breaker.half_open().since().map(|(_, why)| why.to_string())
}

#[test]
fn a_share_counts_after_enough_runs_and_old_runs_leave() {
    let mut breaker = Breaker::new(&BreakerRule { share: Some("50%".parse().unwrap()), ..rule() });
    let (now, failed) = (start(), Ending::Panicked { reason: "boom".to_owned() });
    let mut ends = |secs, ending: &Ending| {
        breaker.ended(now + Duration::from_secs(secs), ending, None, Jitter::new(0));
        why(&breaker)
    };
    for (secs, ending) in [(0, &failed), (1, &failed), (2, &failed), (3, &Ending::Done), (4, &Ending::Done)] {
        assert_eq!(ends(secs, ending), None, "{secs}: a success pauses nothing");
    }
    // Only the last run is left.
    assert_eq!(ends(70, &failed), None);
    assert_eq!(ends(71, &Ending::Done), None);
    assert_eq!(ends(72, &Ending::Done), None);
    assert_eq!(ends(73, &failed).unwrap(), "2 of 4 runs failed in 1m: boom");
}

#[test]
fn a_success_in_between_begins_the_row_anew() {
    let mut breaker = Breaker::new(&BreakerRule { failures: NonZeroU32::new(2), ..rule() });
    let (now, failed) = (start(), Ending::RetryAsked { after: None, reason: "no route".to_owned() });
    for ending in [&failed, &Ending::Done, &failed, &Ending::Interrupted, &Ending::LeaseLost] {
        breaker.ended(now, ending, None, Jitter::new(0));
    }
    assert_eq!(why(&breaker), None);
    breaker.ended(now, &failed, None, Jitter::new(0));
    assert_eq!(why(&breaker).unwrap(), "2 failures in a row: no route");
    assert_eq!(breaker.half_open().check(now), Err(Some(now + Duration::from_secs(30))));
}
