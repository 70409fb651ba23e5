//! The `[[schedule]]` tables.

use serde_json::json;

use super::*;
use crate::settings::{ScheduleSettings, ScheduleTimes};

fn schedules(file: &str) -> Result<Vec<ScheduleSettings>, Problems> {
    read(&[], &[("DRUMLINE_QUEUE_URL", JOBS)], file).map(|settings| settings.schedules)
}

#[test]
fn schedules_are_tables_of_the_file() {
    let file = "[[schedule]]\nname = \"daily-report\"\ncron = \"0 7 * * *\"\ntime_zone = \"Europe/Zurich\"\n\
                type = \"report.daily\"\nversion = 2\npayload = { of = \"sales\", since = 2026-01-01, top = [1, 2.5] }\n\
                queue = \"reports.fifo\"\ngroup = \"reports\"\ncatch_up = \"all\"\n\
                [[schedule]]\nname = \"poll\"\nevery = \"30s\"\ntype = \"mailbox.poll\"\n\
                [[schedule]]\nname = \"noon\"\ncron = \"0 12 * * *\"\ntype = \"lunch\"\n";
    let settings = read(&[], &[("DRUMLINE_QUEUE_URL", JOBS)], file).unwrap();
    let [report, poll, noon] = &settings.schedules[..] else { panic!("three schedules") };
    let cron = |expression: &str, time_zone: &str| ScheduleTimes::Cron {
        expression: expression.to_owned(),
        time_zone: time_zone.to_owned(),
    };
    assert_eq!((&*report.name, &*report.job_type, report.version), ("daily-report", "report.daily", 2));
    assert_eq!(report.times, cron("0 7 * * *", "Europe/Zurich"));
    assert_eq!(report.payload, json!({"of": "sales", "since": "2026-01-01", "top": [1, 2.5]}));
    assert_eq!(report.queue.as_deref(), Some("reports.fifo"));
    assert_eq!((report.group.as_deref(), report.catch_up.as_deref()), (Some("reports"), Some("all")));
    assert_eq!(report.place, "[[schedule]] 1 \"daily-report\"");
    assert_eq!(poll.times, ScheduleTimes::Every(Duration::from_secs(30)));
    assert_eq!((poll.version, &poll.payload, &poll.queue), (1, &json!({}), &None));
    assert_eq!(noon.times, cron("0 12 * * *", "UTC"));
    let shown = |key: &str| {
        let row = settings.effective.iter().find(|row| row.key == key).unwrap();
        (row.value.clone().unwrap(), row.origin.clone())
    };
    assert_eq!(
        shown("schedule.daily-report"),
        ("0 7 * * * Europe/Zurich: report.daily".to_owned(), Origin::File)
    );
    assert_eq!(shown("schedule.poll"), ("every 30s: mailbox.poll".to_owned(), Origin::File));
}

#[test]
fn all_problems_of_schedules_are_reported_at_once() {
    let file = "[[schedule]]\nname = \"a\"\ncron = \"* * * * *\"\nevery = \"5m\"\ntype = \"t\"\n\
                [[schedule]]\ncorn = \"* * * * *\"\ntype = \"t\"\n\
                [[schedule]]\nname = \"c\"\nevery = \"5\"\ntime_zone = \"UTC\"\ntype = \"\"\nversion = 0\npayload = nan\n\
                [[schedule]]\nname = \"d\"\nevery = \"5m\"\ntype = \"t\"\nqueue = \"jobs/\"\n\
                [[schedule]]\nname = \"e\"\nevery = \"5m\"\ntype = \"t\"\n\
                [[schedule]]\nname = \"e\"\nevery = [1]\ntype = \"t\"\n\
                [[schedule]]\nname = \"e\"\nevery = \"5m\"\ntype = \"t\"\n";
    let problems = schedules(file).unwrap_err();
    let all = problems.to_string();
    for says in [
        "[[schedule]] 1 \"a\": cron: a schedule has cron or every, and not both",
        "[[schedule]] 2: name: is missing",
        "[[schedule]] 2: corn: is no part of a schedule; did you mean cron? there are name, cron,",
        "[[schedule]] 2: cron: is missing: set it",
        "[[schedule]] 3 \"c\": every = \"5\": is not a duration",
        "[[schedule]] 3 \"c\": time_zone: is of cron expressions",
        "[[schedule]] 3 \"c\": type = \"\": must be 1 to",
        "[[schedule]] 3 \"c\": version = \"0\": must be a whole number from 1",
        "[[schedule]] 3 \"c\": payload: has a number that is none in JSON",
        "[[schedule]] 4 \"d\": queue = \"jobs/\": \"jobs/\" is not a URL",
        "[[schedule]] 6 \"e\": every: must be a text or a number",
        "[[schedule]] 7 \"e\": name: another schedule has the name \"e\"",
    ] {
        assert!(all.contains(says), "{says} in\n{all}");
    }
    assert_eq!(problems.list.len(), 12, "{all}");
    let problems = schedules("schedule = \"0 7 * * *\"").unwrap_err().to_string();
    assert!(problems.contains("write each schedule as a [[schedule]] table"), "{problems}");
}

#[test]
fn a_timetable_has_a_name() {
    let name = |environment: &[(&str, &str)]| {
        let environment = [&[("DRUMLINE_QUEUE_URL", JOBS)], environment].concat();
        read(&[], &environment, "").unwrap().timetable
    };
    assert_eq!(name(&[]), "default");
    assert_eq!(name(&[("DRUMLINE_TIMETABLE", "billing")]), "billing");
}
