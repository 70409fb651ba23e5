//! Scripts for the reasons that close types, with probes that open them, and the models for comparison.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{HalfOpen, ProbeOf};
use crate::core::ending::Ending;
use crate::core::retry::Jitter;

/// A step of a script.
#[derive(Debug, Clone)]
pub(in crate::core::limits) enum Step {
    Wait(Duration),
    /// A job asks for permission to start.
    Ask,
    /// One of the runs ends, in one of the [`endings`].
    End(usize, usize),
    /// A run is over without an ending: it waits for its turn after a claim, or for its lock.
    Drop(usize),
}

pub(in crate::core::limits) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0_u64..3_000).prop_map(|ms| Step::Wait(Duration::from_millis(ms))),
        1 => (0_u64..90).prop_map(|secs| Step::Wait(Duration::from_secs(secs))),
        6 => Just(Step::Ask),
        4 => any::<(usize, usize)>().prop_map(|(run, ending)| Step::End(run, ending)),
        1 => any::<usize>().prop_map(Step::Drop),
    ];
    prop::collection::vec(step, 1..40)
}

pub(in crate::core::limits) fn endings() -> Vec<Ending> {
    let reason = || "why".to_owned();
    let throttled =
        |ms: Option<u64>| Ending::Throttled { after: ms.map(Duration::from_millis), reason: reason() };
    vec![
        Ending::Done,
        Ending::RetryAsked { after: None, reason: reason() },
        Ending::RetryAsked { after: Some(Duration::ZERO), reason: reason() },
        Ending::Panicked { reason: reason() },
        Ending::TimedOut,
        Ending::Rejected { reason: reason() },
        throttled(None),
        throttled(None),
        throttled(Some(0)),
        throttled(Some(700)),
        throttled(Some(20_000)),
        Ending::Interrupted,
        Ending::LeaseLost,
        Ending::OutOfResources { reason: reason() },
        Ending::Busy { remaining: Duration::ZERO, reason: reason() },
    ]
}

/// The history of a type, in order. A model knows only this, and reads all of it for every question.
#[derive(Debug)]
pub(in crate::core::limits) enum Happened<E> {
    Own(E),
    Opened,
    Started { run: usize },
    Over { run: usize },
}

/// A naive model of a reason that closes a type.
pub(in crate::core::limits) trait Model {
    type Event;

    fn history(&self) -> &Vec<Happened<Self::Event>>;

    fn history_mut(&mut self) -> &mut Vec<Happened<Self::Event>>;

    /// Returns true if the event closes the type.
    fn closes(event: &Self::Event) -> bool;

    /// The end of the latest closing; `None` if the type is open.
    fn until(&self) -> Option<Instant>;

    fn ended(&mut self, now: Instant, run: usize, ending: &Ending, spread: Jitter);

    fn happens(&mut self, event: Happened<Self::Event>) {
        self.history_mut().push(event);
    }

    /// Returns the events since the type was open.
    fn since_open(&self) -> &[Happened<Self::Event>] {
        let opened = self.history().iter().rposition(|event| matches!(event, Happened::Opened));
        &self.history()[opened.map_or(0, |at| at + 1)..]
    }

    /// The run that is the probe of the latest closing.
    fn probe(&self) -> Option<usize> {
        let events = self.since_open();
        let closes = |event: &Happened<_>| matches!(event, Happened::Own(event) if Self::closes(event));
        let closed = events.iter().rposition(closes)?;
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
}

/// The events that close a type.
pub(in crate::core::limits) trait Closing {
    fn half_open(&self) -> &HalfOpen;

    fn half_open_mut(&mut self) -> &mut HalfOpen;

    fn ended(&mut self, now: Instant, ending: &Ending, probe: Option<ProbeOf>, spread: Jitter);
}

/// Plays a script, with its waits multiplied by this number, and compares all answers with those of the model.
pub(in crate::core::limits) fn play<C: Closing, M: Model>(
    (mut closing, mut model): (C, M),
    steps: Vec<Step>,
    slowness: u32,
    spreads: u32,
) -> Result<(), TestCaseError> {
    #[allow(clippy::disallowed_methods, reason = "a test's own clock")]
    let mut now = Instant::now();
    let (mut runs, mut count) = (Vec::new(), 0);
    for step in steps {
        let spread = Jitter::new(spreads.rotate_left(count));
        match step {
            Step::Wait(time) => now += time * slowness,
            Step::Ask => {
                let answer = closing.half_open().check(now);
                prop_assert_eq!(answer, model.check(now));
                if answer.is_ok() {
                    let probe = closing.half_open_mut().start();
                    prop_assert_eq!(probe.is_some(), model.until().is_some());
                    runs.push((count as usize, probe));
                    model.happens(Happened::Started { run: count as usize });
                }
            }
            Step::End(..) | Step::Drop(_) if runs.is_empty() => {}
            Step::End(pick, ending) => {
                let (run, probe) = runs.remove(pick % runs.len());
                let ending = &endings()[ending % endings().len()];
                closing.ended(now, ending, probe, spread);
                closing.half_open_mut().free(probe);
                model.ended(now, run, ending, spread);
                model.happens(Happened::Over { run });
            }
            Step::Drop(pick) => {
                let (run, probe) = runs.remove(pick % runs.len());
                closing.half_open_mut().free(probe);
                model.happens(Happened::Over { run });
            }
        }
        prop_assert_eq!(closing.half_open().until(), model.until());
        count += 1;
    }
    Ok(())
}
