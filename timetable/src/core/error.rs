//! The reason for which a schedule is refused.

use std::fmt;

/// The reason for which a schedule is refused. The text says what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduleError {
    /// The schedule's name.
    pub schedule: String,
    /// The part that is refused: `name`, `cron`, `time_zone`, `every`, or a part of the job such as `payload.user.name`.
    pub field: String,
    /// The reason, and what to do.
    pub reason: String,
}

impl ScheduleError {
    pub(crate) fn new(schedule: &str, field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { schedule: schedule.to_owned(), field: field.into(), reason: reason.into() }
    }
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "schedule {:?}: {}: {}", self.schedule, self.field, self.reason)
    }
}

impl std::error::Error for ScheduleError {}

/// A part that is refused, and the reason.
pub(crate) type Refused = (&'static str, String);
