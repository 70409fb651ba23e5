#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::core::limits::half_open::scripts::{Closing, Happened, Model, play, steps};

#[derive(Debug)]
struct Throttled {
    asked: Option<Duration>,
    by_probe: bool,
    at: Instant,
    spread: Jitter,
}

#[derive(Debug, Default)]
struct History(Vec<Happened<Throttled>>);

impl Model for History {
    type Event = Throttled;

    fn history(&self) -> &Vec<Happened<Throttled>> {
        &self.0
    }

    fn history_mut(&mut self) -> &mut Vec<Happened<Throttled>> {
        &mut self.0
    }

    fn closes(_: &Throttled) -> bool {
        true
    }

    fn until(&self) -> Option<Instant> {
        let (mut own, mut until) = (None, None);
        for event in self.since_open() {
            let Happened::Own(Throttled { asked, by_probe, at, spread }) = event else { continue };
            let pause = asked.filter(|asked| *asked > Duration::ZERO).unwrap_or_else(|| {
                let pause = match own {
                    None => 1,
                    Some(last) if *by_probe => u64::min(last * 2, 60),
                    Some(last) => last,
                };
                own = Some(pause);
                Duration::from_secs(pause) + spread.of(Duration::from_millis(pause * 250))
            });
            until = until.max(Some(*at + pause));
        }
        until
    }

    fn ended(&mut self, now: Instant, run: usize, ending: &Ending, spread: Jitter) {
        let by_probe = self.probe() == Some(run);
        match ending {
            Ending::Throttled { after, .. } => {
                self.happens(Happened::Own(Throttled { asked: *after, by_probe, at: now, spread }));
            }
            Ending::Interrupted | Ending::LeaseLost | Ending::OutOfResources { .. } | Ending::Busy { .. } => {
            }
            _ if by_probe => self.happens(Happened::Opened),
            _ => {}
        }
    }
}

impl Closing for Throttle {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn closes_and_opens_as_the_history_says(steps in steps(), spreads in any::<u32>()) {
        play((Throttle::default(), History::default()), steps, 1, spreads)?;
    }
}

#[test]
fn a_service_can_ask_for_twelve_hours_at_most() {
    #[allow(clippy::disallowed_methods, reason = "a test's own clock")]
    let now = Instant::now();
    let mut throttle = Throttle::default();
    let ending = Ending::Throttled { after: Some(Duration::MAX), reason: "429".to_owned() };
    throttle.ended(now, &ending, None, Jitter::new(u32::MAX));
    assert_eq!(throttle.half_open().check(now), Err(Some(now + Duration::from_secs(43_200))));
    assert_eq!(&*throttle.half_open().since().unwrap().1, "429");
}
