//! The states of a timetable's schedules in an outbox.

use std::collections::BTreeMap;

use drumline_store::StoreError;
use drumline_store::outbox::{Outbox, OutboxJob};
use jiff::Timestamp;

use crate::core::{State, StateError, parse_state_name, state_name};

/// The text of a state, and its parsed form.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) text: String,
    pub(crate) state: Result<State, StateError>,
}

/// The states of all timetables, by timetable and schedule.
pub(crate) type States = BTreeMap<(String, String), Kept>;

pub(crate) async fn read_states(outbox: &dyn Outbox) -> Result<States, StoreError> {
    let all = outbox.states().await?;
    let of_schedules = all.into_iter().filter_map(|(name, text)| {
        let (timetable, schedule) = parse_state_name(&name)?;
        let state = State::parse(&text);
        Some(((timetable.to_owned(), schedule.to_owned()), Kept { text, state }))
    });
    Ok(of_schedules.collect())
}

/// Changes the state of a schedule and adds the jobs of its firings, both or neither. Returns false if another process has
/// changed it.
pub(crate) async fn change(
    outbox: &dyn Outbox,
    (timetable, schedule): (&str, &str),
    before: Option<&Kept>,
    after: Option<&State>,
    jobs: &[OutboxJob],
) -> Result<bool, StoreError> {
    let after = after.map(State::to_text);
    let before = before.map(|kept| kept.text.as_str());
    outbox.change(&state_name(timetable, schedule), before, after.as_deref(), jobs).await
}

/// Returns the time of the outbox's clock.
pub(crate) async fn now(outbox: &dyn Outbox) -> Result<Timestamp, StoreError> {
    let now = outbox.now_ms().await?;
    // A time outside the calendar becomes the calendar's end, where nothing fires.
    Ok(Timestamp::from_millisecond(now).unwrap_or(if now < 0 { Timestamp::MIN } else { Timestamp::MAX }))
}
