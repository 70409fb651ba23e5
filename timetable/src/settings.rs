//! The timetable declared in the settings.

use drumline_producer::Checks;
use drumline_runtime::aws::{is_fifo, queue_name};
use drumline_runtime::{Problem, Problems, ScheduleSettings, ScheduleTimes, Settings};
use drumline_store::outbox::OutboxJob;

use crate::core::{CatchUp, Rule, Schedule, ScheduleError, check_time_zone};
use crate::timetable::Timetable;

impl Timetable {
    /// Returns the timetable of the `[[schedule]]` tables of the settings.
    ///
    /// # Errors
    /// All problems of all tables.
    pub fn from_settings(settings: &Settings) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let mut timetable = Self::named(&settings.timetable).unwrap_or_else(|error| {
            problems.push(Problem { place: error.field, text: error.reason });
            Self::new()
        });
        timetable = timetable.checked_by(Checks::from_settings(&settings.guards));
        for declared in &settings.schedules {
            let added = schedule(settings, declared)
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

/// Returns the schedule, or all problems of its parts.
fn schedule(settings: &Settings, declared: &ScheduleSettings) -> Result<Schedule, Vec<ScheduleError>> {
    let name = &declared.name;
    let mut errors = Vec::new();
    let rule = match &declared.times {
        ScheduleTimes::Cron { expression, time_zone } => {
            let bad_zone = check_time_zone(name, time_zone).err();
            // An invalid zone does not hide an invalid expression.
            let zone = if bad_zone.is_none() { time_zone } else { "UTC" };
            errors.extend(bad_zone);
            Rule::cron(name, expression, zone)
        }
        ScheduleTimes::Every(every) => Rule::every(name, *every),
    };
    if let Some(queue) = fifo_queue_of_type(settings, declared).filter(|_| declared.group.is_none()) {
        let reason = format!(
            "{queue} is a FIFO queue, which needs one: jobs of one group are done one after the other"
        );
        errors.push(ScheduleError::new(name, "group", reason));
    }
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

/// Returns the queue that the job's type goes to, if the schedule names no queue and that one is a FIFO queue.
fn fifo_queue_of_type<'a>(settings: &'a Settings, declared: &ScheduleSettings) -> Option<&'a str> {
    if declared.queue.is_some() {
        // The check of the job reports this.
        return None;
    }
    let only = || match &settings.queues[..] {
        [queue] => Some(&queue.url),
        _ => None,
    };
    let url = settings.queue_by_type.get(&declared.job_type).or_else(only)?;
    Some(queue_name(url.as_str())).filter(|name| is_fifo(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use super::*;

    const FIFO: &str = "http://127.0.0.1:9324/000000000000/orders.fifo";

    fn read(file: &str) -> Result<Timetable, String> {
        let path = std::env::temp_dir().join(format!("timetable-{:016x}.toml", fastrand::u64(..)));
        std::fs::write(&path, file).unwrap();
        let settings = Settings::read_for_tool(&BTreeMap::new(), |_| None, Some(&path)).unwrap();
        std::fs::remove_file(&path).unwrap();
        Timetable::from_settings(&settings).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_timetable_is_declared_in_the_settings() {
        let timetable = read(
            "timetable = \"billing\"\n[[schedule]]\nname = \"a\"\ncron = \"0 7 * * *\"\ntime_zone = \"Europe/Zurich\"\n\
             type = \"t\"\nversion = 2\npayload = { k = [1] }\nqueue = \"q.fifo\"\ngroup = \"g\"\ncatch_up = \"skip\"\n\
             [[schedule]]\nname = \"b\"\nevery = \"90s\"\ntype = \"t\"\n",
        )
        .unwrap();
        assert_eq!(timetable.name(), "billing");
        let [a, b] = timetable.schedules() else { panic!("two schedules") };
        assert_eq!((a.rule().to_string().as_str(), a.catch_up()), ("0 7 * * * Europe/Zurich", CatchUp::Skip));
        let job = a.job_at("billing", "2027-01-01T06:00:00Z".parse().unwrap());
        assert_eq!((job.schema_version, &*job.payload), (2, r#"{"k":[1]}"#));
        assert_eq!((job.queue.as_deref(), job.group.as_deref()), (Some("q.fifo"), Some("g")));
        assert_eq!((b.rule().to_string().as_str(), b.catch_up()), ("every 90s", CatchUp::Last));
    }

    #[test]
    fn all_problems_of_schedules_are_reported_at_once() {
        let file = format!(
            "timetable = \"a b\"\nqueue_url = \"{FIFO}\"\n\
             [[schedule]]\nname = \"a\"\ncron = \"61 * * * *\"\ntime_zone = \"Zurich\"\ntype = \"t\"\ncatch_up = \"x\"\n\
             [[schedule]]\nname = \"b c\"\nevery = \"1500ms\"\ntype = \"t\"\ngroup = \"g\"\n\
             [[schedule]]\nname = \"d\"\nevery = \"5m\"\ntype = \"t\"\nqueue = \"other.fifo\"\n\
             [[schedule]]\nname = \"e\"\nevery = \"5m\"\ntype = \"t\"\ngroup = \"g\"\n\
             payload = {{ key = \"AKIAIOSFODNN7EXAMPLE\" }}\n"
        );
        let problems = read(&file).unwrap_err();
        for says in [
            "8 problems with the settings",
            "timetable: \"a b\" is not of 1 to 32",
            "[[schedule]] 1 \"a\": time_zone: \"Zurich\" is not the name of a time zone",
            "[[schedule]] 1 \"a\": cron: \"61 * * * *\" is not a cron expression",
            "[[schedule]] 1 \"a\": catch_up: must be one of skip, last, all",
            "[[schedule]] 1 \"a\": group: orders.fifo is a FIFO queue, which needs one",
            "[[schedule]] 2 \"b c\": every: must be whole seconds",
            "[[schedule]] 3 \"d\": group: ",
            "[[schedule]] 4 \"e\": payload.key: it has an AWS access key ID",
        ] {
            assert!(problems.contains(says), "{says} in\n{problems}");
        }
    }
}
