//! Scripts for what closes types, and opens them by probes.

use std::time::Duration;

use proptest::prelude::*;

use crate::core::ending::Ending;

/// A step of a script.
#[derive(Debug, Clone)]
pub(in crate::core::limits) enum Step {
    Wait(Duration),
    /// A job asks if it may start.
    Ask,
    /// One of the runs ends, in one of the [`endings`].
    End(usize, usize),
    /// A run is over without an ending: it waits for its claim's turn, or for its lock.
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
