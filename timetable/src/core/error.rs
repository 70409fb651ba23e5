//! The error of a schedule that is refused.

use std::fmt;

/// The reason why a schedule is refused. Its text says which values are valid.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduleError {
    /// The schedule's name.
    pub schedule: String,
    /// The part with the error: `name`, `cron`, `time_zone`, `every`, or a part of the job such as `payload.user.name`.
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

/// The part with the error, and the reason.
pub(crate) type Refused = (&'static str, String);
