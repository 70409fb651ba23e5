//! The names of timetables, schedules, states and firings.

use jiff::Timestamp;

/// The name of a timetable that sets no name.
pub const DEFAULT_TIMETABLE: &str = "default";

/// A firing's id consists of its schedule's name and its instant, and a job's id has at most 128 characters.
const MAX_SCHEDULE_NAME: usize = 64;
const MAX_TIMETABLE_NAME: usize = 32;

/// The prefix of the names of timetables' states in an outbox, which may keep other states too.
const STATE_PREFIX: &str = "schedule:";

pub(crate) fn check_schedule_name(name: &str) -> Result<(), String> {
    check(name, MAX_SCHEDULE_NAME)
}

pub(crate) fn check_timetable_name(name: &str) -> Result<(), String> {
    check(name, MAX_TIMETABLE_NAME)
}

fn check(name: &str, longest: usize) -> Result<(), String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=longest).contains(&name.len()) && name.bytes().all(is_allowed) {
        Ok(())
    } else {
        Err(format!("{name:?} is not of 1 to {longest} ASCII letters, digits, dots, dashes and underscores"))
    }
}

/// Returns the schedule's name among those of all timetables: `NAME` for the default timetable, else `TIMETABLE/NAME`.
pub(crate) fn full_name(timetable: &str, schedule: &str) -> String {
    if timetable == DEFAULT_TIMETABLE { schedule.to_owned() } else { format!("{timetable}/{schedule}") }
}

/// Returns the id of a firing's job. All schedulers use the same id, so that a second firing of an instant is the same job.
///
/// ```
/// use drumline_timetable::{DEFAULT_TIMETABLE, firing_id};
///
/// let instant = "2026-11-29T06:00:00Z".parse()?;
/// assert_eq!(firing_id(DEFAULT_TIMETABLE, "daily-report", instant), "daily-report@2026-11-29T06:00:00Z");
/// assert_eq!(firing_id("billing", "daily-report", instant), "billing/daily-report@2026-11-29T06:00:00Z");
/// # Ok::<(), jiff::Error>(())
/// ```
pub fn firing_id(timetable: &str, schedule: &str, instant: Timestamp) -> String {
    format!("{}@{instant}", full_name(timetable, schedule))
}

/// Returns the name under which an outbox keeps the state of a schedule.
pub fn state_name(timetable: &str, schedule: &str) -> String {
    format!("{STATE_PREFIX}{timetable}/{schedule}")
}

/// Returns the timetable and the schedule whose state has this name; `None` if it is not the state of a schedule.
pub(crate) fn parse_state_name(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(STATE_PREFIX)?.split_once('/')
}
