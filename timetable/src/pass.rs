//! One pass over all schedules: adds due jobs to the outbox, together with the schedules' new states.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use drumline_store::StoreError;
use drumline_store::outbox::{Outbox, OutboxJob};
use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

use crate::core::{Decision, Schedule, State, due, firing_id};
use crate::states::{States, change, now, read_states};
use crate::timetable::Timetable;

/// The number of schedules processed at once. Otherwise a thousand schedules that fire at midnight would be late by the sum of
/// their round trips.
const AT_ONCE: usize = 8;

/// The time after which the state of a removed schedule is deleted.
const KEPT_AFTER_REMOVAL: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The time by which a standby scheduler's clock is behind. It fires the instants that the leader has left undone for this
/// long.
pub(crate) const BEHIND_THE_LEADER: Duration = Duration::from_secs(10);

/// The role of a scheduler among those of its timetable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The only scheduler that changes rules, and starts and removes schedules.
    Leader,
    /// Fires the instants that the leader did not fire, so that a hanging leader or a lease that does not end stops nothing.
    Standby,
}

/// The result of a pass.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// The time of the pass, by the clock of the outbox.
    pub(crate) now: Timestamp,
    /// The number of firings.
    pub(crate) fired: u64,
    /// The next firing of all schedules, by the clock of the role.
    pub(crate) next: Option<Timestamp>,
    /// True if another pass should follow at once: further firings are due, or another process changed a state during the pass.
    pub(crate) is_more: bool,
    /// Schedules that the leader of their timetable does not run.
    pub(crate) not_led: BTreeSet<String>,
    /// Schedules that cannot run, with the reason.
    pub(crate) unusable: BTreeMap<String, String>,
}

/// Makes one pass over all schedules.
pub(crate) async fn pass(
    timetable: &Timetable,
    outbox: &dyn Outbox,
    role: Role,
) -> Result<Passed, StoreError> {
    let states = read_states(outbox).await?;
    // Read after the states, so that their decisions lie before it.
    let now = now(outbox).await?;
    let passed = look_at_all(timetable, outbox, &states, role, now).await?;
    if role == Role::Leader {
        remove_others(timetable, outbox, &states, now).await?;
    }
    Ok(passed)
}

async fn look_at_all(
    timetable: &Timetable,
    outbox: &dyn Outbox,
    states: &States,
    role: Role,
    now: Timestamp,
) -> Result<Passed, StoreError> {
    let looks: Vec<_> = timetable
        .schedules()
        .iter()
        .map(|schedule| look(timetable, outbox, states, schedule, role, now))
        .collect();
    let looks: Vec<Result<Look, StoreError>> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    let mut passed = Passed { now, ..Passed::default() };
    for (schedule, look) in timetable.schedules().iter().zip(looks) {
        let look = match look {
            // An error of one schedule stops no other schedule.
            Err(StoreError::Refused(reason)) => Look::unusable(reason.to_string()),
            look => look?,
        };
        passed.unusable.extend(look.unusable.map(|reason| (schedule.name().to_owned(), reason)));
        passed.fired += look.fired;
        passed.is_more |= look.is_more;
        passed.next = [passed.next, look.next].into_iter().flatten().min();
        if look.is_not_led {
            passed.not_led.insert(schedule.name().to_owned());
        }
    }
    Ok(passed)
}

/// The result for one schedule.
#[derive(Debug, Default)]
struct Look {
    fired: u64,
    next: Option<Timestamp>,
    is_more: bool,
    is_not_led: bool,
    unusable: Option<String>,
}

impl Look {
    fn unusable(reason: String) -> Self {
        Self { unusable: Some(reason), ..Self::default() }
    }
}

async fn look(
    timetable: &Timetable,
    outbox: &dyn Outbox,
    states: &States,
    schedule: &Schedule,
    role: Role,
    now: Timestamp,
) -> Result<Look, StoreError> {
    let kept = states.get(&(timetable.name().to_owned(), schedule.name().to_owned()));
    let before = match kept.map(|kept| &kept.state) {
        Some(Err(error)) => return Ok(Look::unusable(format!("its state {error}"))),
        Some(Ok(state)) => Some(state),
        None => None,
    };
    let now = match role {
        Role::Leader => now,
        Role::Standby if before.is_some_and(|state| state.runs_by(schedule.rule())) => {
            now.checked_sub(BEHIND_THE_LEADER).unwrap_or(now)
        }
        Role::Standby => return Ok(Look { is_not_led: true, ..Look::default() }),
    };
    let decision = due(schedule, before, now);
    let next = decision.next(schedule, now);
    if before == Some(&decision.state) {
        return Ok(Look { next, ..Look::default() });
    }
    let jobs: Vec<OutboxJob> =
        decision.firings.iter().map(|instant| schedule.job_at(timetable.name(), *instant)).collect();
    let name = (timetable.name(), schedule.name());
    if !change(outbox, name, kept, Some(&decision.state), &jobs).await? {
        return Ok(Look { is_more: true, next, ..Look::default() });
    }
    report(timetable, schedule, before, &decision, now);
    let fired = u64::try_from(jobs.len()).unwrap_or(u64::MAX);
    Ok(Look { fired, next, is_more: decision.is_more, ..Look::default() })
}

fn report(
    timetable: &Timetable,
    schedule: &Schedule,
    before: Option<&State>,
    decision: &Decision,
    now: Timestamp,
) {
    let name = schedule.name();
    match before {
        None => info!(schedule = name, rule = %schedule.rule(), "schedule started"),
        Some(state) if !state.runs_by(schedule.rule()) => {
            info!(schedule = name, rule = %schedule.rule(), before = state.rule_text(), "schedule changed");
        }
        Some(_) => {}
    }
    if let Some(skipped) = decision.skipped {
        let catch_up = schedule.catch_up();
        warn!(schedule = name, after = %skipped.after, newest = %skipped.newest, %catch_up, "missed firings skipped");
    }
    for instant in &decision.firings {
        let job_id = firing_id(timetable.name(), name, *instant);
        let late_ms = now.as_millisecond() - instant.as_millisecond();
        info!(schedule = name, job_id, r#type = schedule.job_type(), late_ms, "schedule fired");
    }
}

/// Marks the states of schedules that are no longer in the timetable, and deletes those that were marked long ago.
async fn remove_others(
    timetable: &Timetable,
    outbox: &dyn Outbox,
    states: &States,
    now: Timestamp,
) -> Result<(), StoreError> {
    let others = states
        .iter()
        .filter(|((of, schedule), _)| of == timetable.name() && timetable.schedule(schedule).is_none());
    for ((_, schedule), kept) in others {
        let Ok(state) = &kept.state else { continue };
        let name = (timetable.name(), schedule.as_str());
        match state.removed {
            None => {
                if change(outbox, name, Some(kept), Some(&state.clone().remove(now)), &[]).await? {
                    info!(schedule, "schedule removed: it is no longer in the timetable");
                }
            }
            Some(removed) if now.duration_since(removed) > KEPT_AFTER_REMOVAL => {
                change(outbox, name, Some(kept), None, &[]).await?;
            }
            Some(_) => {}
        }
    }
    Ok(())
}
