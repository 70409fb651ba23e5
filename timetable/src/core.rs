//! The decisions of a timetable, without a clock, network or runtime.
//!
//! [`due`] alone decides which instants fire. The other modules define the types it decides about.

mod catch_up;
mod cron;
mod due;
mod error;
mod interval;
mod message;
mod names;
mod rule;
mod schedule;
mod state;
mod zone;

pub use self::catch_up::{CatchUp, MAX_CATCH_UP, ON_TIME};
pub use self::cron::CronRule;
pub use self::due::{Decision, MAX_AT_ONCE, Skipped, due};
pub use self::error::ScheduleError;
pub use self::interval::Interval;
pub use self::names::{DEFAULT_TIMETABLE, firing_id, state_name};
pub(crate) use self::names::{check_timetable_name, full_name, parse_state_name};
pub use self::rule::Rule;
pub use self::schedule::{SCHEDULED_AT, Schedule};
pub use self::state::{State, StateError};
pub(crate) use self::zone::check_time_zone;

#[cfg(test)]
mod tests;
