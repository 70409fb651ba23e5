#![doc = include_str!("../README.md")]

mod core;
mod operate;
mod pass;
mod run;
mod settings;
mod states;
mod timetable;

pub use crate::core::{
    CatchUp, CronRule, DEFAULT_TIMETABLE, Decision, Interval, MAX_AT_ONCE, MAX_CATCH_UP, ON_TIME, Rule,
    SCHEDULED_AT, Schedule, ScheduleError, Skipped, State, StateError, due, firing_id, state_name,
};
pub use crate::operate::{Listed, OperateError};
pub use crate::run::RunSummary;
pub use crate::timetable::Timetable;

#[cfg(test)]
mod tests;
