//! Invalid schedules, and the texts of their errors.

use drumline::Job;

use super::*;

fn refused(expression: &str, zone: &str) -> String {
    Rule::cron("report", expression, zone).unwrap_err().to_string()
}

#[test]
fn expressions_that_are_invalid_or_never_match_are_refused() {
    let table = [
        ("", "cron: \"\" has 0 fields: write five fields (minute hour day month weekday)"),
        ("* * * *", "has 4 fields"),
        ("0 7 * * ? *", "is not a cron expression"),
        ("0 7 ? * MON *", "is not a cron expression"),
        ("0 0 7 * * * 2027", "has 7 fields"),
        ("60 * * * *", "is not a cron expression"),
        ("* 24 * * *", "is not a cron expression"),
        ("* * * 13 *", "is not a cron expression"),
        ("every day", "has 2 fields"),
        ("@reboot", "there are @yearly, @monthly, @weekly, @daily and @hourly"),
        ("0 0 30 2 *", "\"0 0 30 2 *\" never matches: none of its months has one of its days"),
        ("0 0 31 4,6,9,11 *", "never matches"),
    ];
    for (expression, says) in table {
        let text = refused(expression, "UTC");
        assert!(
            text.starts_with("schedule \"report\": cron: ") && text.contains(says),
            "{expression}: {text}"
        );
    }
}

#[test]
fn unknown_time_zones_are_refused_with_a_suggestion() {
    let table = [
        ("Zurich", "did you mean Europe/Zurich?"),
        ("Europe/Zürich", "did you mean Europe/Zurich?"),
        ("europe/zurik", "did you mean Europe/Zurich?"),
        ("new york", "did you mean America/New_York?"),
        ("America/New York", "did you mean America/New_York?"),
        ("UTC+2", "there is UTC, and names such as Europe/Zurich"),
        ("", "there is UTC"),
        ("../etc/passwd", "there is UTC"),
        ("/etc/localtime", "there is UTC"),
    ];
    for (name, says) in table {
        let text = refused("* * * * *", name);
        assert!(
            text.starts_with("schedule \"report\": time_zone: ") && text.contains(says),
            "{name}: {text}"
        );
    }
    for name in ["UTC", "Europe/Zurich", "europe/zurich", "Etc/GMT-2", "Asia/Calcutta"] {
        assert!(Rule::cron("s", "* * * * *", name).is_ok(), "{name}");
    }
}

#[test]
fn intervals_have_whole_seconds() {
    for every in
        [Duration::ZERO, Duration::from_millis(1500), Duration::from_secs(367 * 86_400), Duration::MAX]
    {
        let text = Rule::every("poll", every).unwrap_err().to_string();
        assert!(
            text.starts_with("schedule \"poll\": every: must be whole seconds from 1s to 366d"),
            "{text}"
        );
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Note {
    text: String,
}

impl Job for Note {
    const TYPE: &'static str = "note";
    const VERSION: u32 = 3;
}

fn note(text: &str) -> Note {
    Note { text: text.to_owned() }
}

#[test]
fn a_firing_has_the_job_under_an_id_of_its_instant() {
    let schedule = Schedule::new("daily", every(60), &note("x")).unwrap().queue("jobs").group("g");
    let instant = at("2027-01-01T07:00:00Z");
    let job = schedule.job_at("billing", instant);
    assert_eq!(job.id, "billing/daily@2027-01-01T07:00:00Z");
    assert_eq!((&*job.job_type, job.schema_version, &*job.payload), ("note", 3, r#"{"text":"x"}"#));
    assert_eq!((job.queue.as_deref(), job.group.as_deref()), (Some("jobs"), Some("g")));
    assert_eq!(job.attributes[SCHEDULED_AT], "2027-01-01T07:00:00Z");
    let longest =
        schedule_named(&"n".repeat(64)).job_at(&"t".repeat(32), at("2027-01-01T07:00:00.123456789Z"));
    assert!(longest.id.len() <= 128, "{}", longest.id.len());
}

fn schedule_named(name: &str) -> Schedule {
    Schedule::new(name, every(60), &note("")).unwrap()
}
