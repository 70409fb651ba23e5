//! The timetable that the settings declare.

use drumline_producer::Checks;
use drumline_runtime::{Problem, Problems, ScheduleSettings, ScheduleTimes, Settings};
use drumline_store::outbox::OutboxJob;

use crate::core::{CatchUp, Rule, Schedule, ScheduleError, check_time_zone};
use crate::timetable::Timetable;

impl Timetable {
    /// Returns the timetable of the `[[schedule]]` tables of the settings.
    ///
    /// # Errors
    /// All that is wrong with any of them.
    pub fn from_settings(settings: &Settings) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let mut timetable = Self::named(&settings.timetable).unwrap_or_else(|error| {
            problems.push(Problem { place: error.field, text: error.reason });
            Self::new()
        });
        timetable = timetable.checked_by(Checks::from_settings(&settings.guards));
        for declared in &settings.schedules {
            let added = schedule(declared)
                .and_then(|schedule| timetable.clone().with(schedule).map_err(|error| vec![error]));
            match added {
                Ok(with) => timetable = with,
                Err(errors) => problems.extend(errors.into_iter().map(|error| problem(declared, error))),
            }
        }
        if problems.is_empty() { Ok(timetable) } else { Err(Problems::of(problems)) }
    }
}

fn problem(declared: &ScheduleSettings, error: ScheduleError) -> Problem {
    Problem { place: format!("{}: {}", declared.place, error.field), text: error.reason }
}

/// Returns the schedule, or all that is wrong with its own parts.
fn schedule(declared: &ScheduleSettings) -> Result<Schedule, Vec<ScheduleError>> {
    let name = &declared.name;
    let mut errors = Vec::new();
    let rule = match &declared.times {
        ScheduleTimes::Cron { expression, time_zone } => {
            errors.extend(check_time_zone(name, time_zone).err());
            // A bad zone does not hide a bad expression.
            let zone = if errors.is_empty() { time_zone } else { "UTC" };
            Rule::cron(name, expression, zone)
        }
        ScheduleTimes::Every(every) => Rule::every(name, *every),
    };
    let catch_up = declared.catch_up.as_deref().map_or(Ok(CatchUp::default()), str::parse);
    let catch_up = catch_up.map_err(|reason| ScheduleError::new(name, "catch_up", reason));
    let mut job = OutboxJob::new(String::new(), &*declared.job_type, declared.payload.to_string());
    job.schema_version = declared.version;
    job.queue.clone_from(&declared.queue);
    job.group.clone_from(&declared.group);
    match (rule, catch_up) {
        (Ok(rule), Ok(catch_up)) if errors.is_empty() => Schedule::of(name, rule, job)
            .map(|schedule| schedule.catch_up_by(catch_up))
            .map_err(|error| vec![error]),
        (rule, catch_up) => {
            errors.extend(rule.err());
            errors.extend(catch_up.err());
            Err(errors)
        }
    }
}
