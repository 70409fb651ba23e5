#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::core::limits::half_open::scripts::{Step, endings, steps};

/// What happened to a type, in order. The model knows nothing else, and looks at all of it for every question.
#[derive(Debug)]
enum Happened {
    Throttled { asked: Option<Duration>, by_probe: bool, at: Instant, spread: Jitter },
    Opened,
    Started { run: usize },
    Over { run: usize },
}

#[derive(Debug, Default)]
struct Model(Vec<Happened>);

impl Model {
    /// What happened since the type was open.
    fn since_open(&self) -> &[Happened] {
        let opened = self.0.iter().rposition(|event| matches!(event, Happened::Opened));
        &self.0[opened.map_or(0, |at| at + 1)..]
    }

    /// The end of the latest closing; `None` if the type is open.
    fn until(&self) -> Option<Instant> {
        let (mut own, mut until) = (None, None);
        for event in self.since_open() {
            let Happened::Throttled { asked, by_probe, at, spread } = event else { continue };
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

    /// The run that is the probe of the latest closing.
    fn probe(&self) -> Option<usize> {
        let events = self.since_open();
        let closed = events.iter().rposition(|event| matches!(event, Happened::Throttled { .. }))?;
        let mut probe = None;
        for event in &events[closed..] {
            match event {
                Happened::Started { run } => probe = Some(*run),
                Happened::Over { run } if probe == Some(*run) => probe = None,
                _ => {}
            }
        }
        probe
    }

    fn check(&self, now: Instant) -> Result<(), Option<Instant>> {
        match self.until() {
            Some(until) if now < until => Err(Some(until)),
            Some(_) if self.probe().is_some() => Err(None),
            _ => Ok(()),
        }
    }

    fn ended(&mut self, now: Instant, run: usize, ending: &Ending, spread: Jitter) {
        let by_probe = self.probe() == Some(run);
        match ending {
            Ending::Throttled { after, .. } => {
                self.0.push(Happened::Throttled { asked: *after, by_probe, at: now, spread });
            }
            Ending::Interrupted | Ending::LeaseLost | Ending::OutOfResources { .. } | Ending::Busy { .. } => {
            }
            _ if by_probe => self.0.push(Happened::Opened),
            _ => {}
        }
        self.0.push(Happened::Over { run });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn closes_and_opens_as_the_history_says(steps in steps(), spreads in any::<u32>()) {
        let (mut throttle, mut model) = (Throttle::default(), Model::default());
        #[allow(clippy::disallowed_methods, reason = "a test's own clock")]
        let mut now = Instant::now();
        let (mut runs, mut count) = (Vec::new(), 0);
        for step in steps {
            let spread = Jitter::new(spreads.rotate_left(count));
            match step {
                Step::Wait(time) => now += time,
                Step::Ask => {
                    let answer = throttle.half_open().check(now);
                    prop_assert_eq!(answer, model.check(now));
                    if answer.is_ok() {
                        let probe = throttle.half_open_mut().start();
                        prop_assert_eq!(probe.is_some(), model.until().is_some());
                        runs.push((count as usize, probe));
                        model.0.push(Happened::Started { run: count as usize });
                    }
                }
                Step::End(..) | Step::Drop(_) if runs.is_empty() => {}
                Step::End(pick, ending) => {
                    let (run, probe) = runs.remove(pick % runs.len());
                    let ending = &endings()[ending % endings().len()];
                    throttle.ended(now, ending, probe, spread);
                    throttle.half_open_mut().free(probe);
                    model.ended(now, run, ending, spread);
                }
                Step::Drop(pick) => {
                    let (run, probe) = runs.remove(pick % runs.len());
                    throttle.half_open_mut().free(probe);
                    model.0.push(Happened::Over { run });
                }
            }
            prop_assert_eq!(throttle.half_open().until(), model.until());
            count += 1;
        }
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
