//! A timetable: the schedules that a service runs.

use std::time::Duration;

use drumline::Job;
use drumline_producer::Checks;
use serde::Serialize;

use crate::core::{DEFAULT_TIMETABLE, Rule, Schedule, ScheduleError, check_timetable_name};

/// The schedules that a service runs.
///
/// ```
/// use std::time::Duration;
/// use drumline_timetable::Timetable;
/// # use drumline::Job;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Report {}
/// # impl Job for Report { const TYPE: &'static str = "report.daily"; }
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Poll {}
/// # impl Job for Poll { const TYPE: &'static str = "mailbox.poll"; }
///
/// let timetable = Timetable::new()
///     .cron("daily-report", "0 7 * * *", "Europe/Zurich", &Report {})?
///     .every("poll", Duration::from_secs(30), &Poll {})?;
/// assert_eq!(timetable.schedules().len(), 2);
/// # Ok::<(), drumline_timetable::ScheduleError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Timetable {
    name: String,
    schedules: Vec<Schedule>,
    checks: Checks,
}

impl Default for Timetable {
    fn default() -> Self {
        Self { name: DEFAULT_TIMETABLE.to_owned(), schedules: Vec::new(), checks: Checks::default() }
    }
}

impl Timetable {
    /// Returns a timetable without schedules.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a timetable with this name. Services that share an outbox and have different timetables need different names,
    /// because one scheduler at a time leads the timetables of one name.
    ///
    /// # Errors
    /// If the name is invalid.
    pub fn named(name: &str) -> Result<Self, ScheduleError> {
        check_timetable_name(name).map_err(|reason| ScheduleError::new(name, "timetable", reason))?;
        Ok(Self { name: name.to_owned(), ..Self::default() })
    }

    /// Checks the jobs of schedules added from here on with these guards, instead of the default ones.
    #[must_use]
    pub fn checked_by(self, checks: Checks) -> Self {
        Self { checks, ..self }
    }

    /// Adds a schedule for the times of a cron expression in the time zone with this IANA name. The expression has five fields,
    /// or six with seconds first.
    ///
    /// # Errors
    /// If the expression, the time zone, the name or the job cannot be used.
    pub fn cron<J: Job + Serialize>(
        self,
        name: &str,
        expression: &str,
        time_zone: &str,
        job: &J,
    ) -> Result<Self, ScheduleError> {
        let rule = Rule::cron(name, expression, time_zone)?;
        self.with(Schedule::new(name, rule, job)?)
    }

    /// Adds a schedule for the multiples of an interval since the Unix epoch: an interval of one hour fires on the hour.
    ///
    /// # Errors
    /// If the interval is not a number of whole seconds, or the name or the job cannot be used.
    pub fn every<J: Job + Serialize>(
        self,
        name: &str,
        every: Duration,
        job: &J,
    ) -> Result<Self, ScheduleError> {
        let rule = Rule::every(name, every)?;
        self.with(Schedule::new(name, rule, job)?)
    }

    /// Adds a schedule.
    ///
    /// # Errors
    /// If another schedule has the name, or the job may not be sent.
    pub fn with(mut self, schedule: Schedule) -> Result<Self, ScheduleError> {
        if self.schedule(schedule.name()).is_some() {
            return Err(ScheduleError::new(schedule.name(), "name", "another schedule has it"));
        }
        schedule.check(&self.checks)?;
        self.schedules.push(schedule);
        Ok(self)
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its schedules, in the order in which they were added.
    pub fn schedules(&self) -> &[Schedule] {
        &self.schedules
    }

    /// Returns the schedule with this name.
    pub fn schedule(&self, name: &str) -> Option<&Schedule> {
        self.schedules.iter().find(|schedule| schedule.name() == name)
    }
}
