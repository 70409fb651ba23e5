//! Decides which instants fire now. No other code decides this.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::catch_up::{CatchUp, MAX_CATCH_UP, ON_TIME};
use super::schedule::Schedule;
use super::state::State;

/// The maximum number of firings of one decision, whose jobs are added to the outbox in one call. The next decision has the
/// next ones.
pub const MAX_AT_ONCE: usize = 100;

/// The instants that fire now, and the schedule's state after them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// The instants that fire, in order.
    pub firings: Vec<Timestamp>,
    /// The missed instants that are skipped, if there are any.
    pub skipped: Option<Skipped>,
    /// True if further firings are already due.
    pub is_more: bool,
    /// The state after this decision.
    pub state: State,
}

/// Missed instants that are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// They are after this time.
    pub after: Timestamp,
    /// The newest of them.
    pub newest: Timestamp,
}

/// Decides which instants of a schedule in this state fire at `now`, the time of the outbox's clock.
///
/// - A new schedule fires from now on. So does a schedule with a changed rule, and one that was removed and added again.
/// - A paused schedule fires nothing.
/// - If the clock was set back to before the last decision, nothing fires until it has caught up.
/// - Instants of the last [minute](ON_TIME) fire. The [catch-up rule](CatchUp) decides about older ones.
pub fn due(schedule: &Schedule, state: Option<&State>, now: Timestamp) -> Decision {
    let rule = schedule.rule();
    let Some(state) = state else { return Decision::nothing(State::new(rule, now)) };
    if !state.runs_by(rule) {
        let decided = state.decided.max(now);
        return Decision::nothing(State { rule: rule.into(), decided, removed: None, ..state.clone() });
    }
    if state.paused.is_some() || now <= state.decided {
        return Decision::nothing(state.clone());
    }
    let on_time_after = before(now, ON_TIME).max(state.decided);
    let is_any_on_time = rule.between(on_time_after, now).next().is_some();
    let missed = Missed::of(schedule, state.decided, on_time_after, is_any_on_time);
    let firings = missed.firing.into_iter().chain(rule.between(on_time_after, now));
    let mut firings: Vec<Timestamp> = firings.take(MAX_AT_ONCE + 1).collect();
    let is_more = firings.len() > MAX_AT_ONCE;
    firings.truncate(MAX_AT_ONCE);
    let newest_skipped = missed.skipped.map(|skipped| skipped.newest);
    let Some(decided) = firings.last().copied().max(newest_skipped) else {
        return Decision::nothing(state.clone());
    };
    let last = firings.last().copied().or(state.last);
    let state = State { decided, last, ..state.clone() };
    Decision { firings, skipped: missed.skipped, is_more, state }
}

impl Decision {
    /// Returns the next firing after `now`; `None` for a paused schedule.
    pub(crate) fn next(&self, schedule: &Schedule, now: Timestamp) -> Option<Timestamp> {
        self.state.next(schedule.rule(), now)
    }

    fn nothing(state: State) -> Self {
        Self { firings: Vec::new(), skipped: None, is_more: false, state }
    }
}

/// The instants that are late.
#[derive(Debug, Default)]
struct Missed {
    firing: VecDeque<Timestamp>,
    skipped: Option<Skipped>,
}

impl Missed {
    /// Decides about the instants after `after`, up to and including `until`.
    fn of(schedule: &Schedule, after: Timestamp, until: Timestamp, is_any_on_time: bool) -> Self {
        let most = match schedule.catch_up() {
            CatchUp::Last if !is_any_on_time => 1,
            CatchUp::Skip | CatchUp::Last => 0,
            CatchUp::All => MAX_CATCH_UP,
        };
        let mut firing = schedule.rule().newest(after, until, most + 1);
        let newest = if firing.len() > most { firing.pop_front() } else { None };
        Self { firing, skipped: newest.map(|newest| Skipped { after, newest }) }
    }
}

fn before(instant: Timestamp, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    instant.checked_sub(time).unwrap_or(Timestamp::MIN)
}
