//! Schedules that a timetable refuses.

use std::time::Duration;

use drumline::Job;
use drumline_store::outbox::OutboxJob;

use crate::{Rule, Schedule, Timetable};

#[derive(serde::Serialize, serde::Deserialize)]
struct Keyed {}

impl Job for Keyed {
    const TYPE: &'static str = "keyed";

    fn idempotency_key(&self) -> Option<String> {
        Some("one".to_owned())
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

fn every_minute() -> Rule {
    Rule::every("minute", Duration::from_secs(60)).unwrap()
}

#[test]
fn names_and_jobs_are_checked() {
    let hourly = |name: &str, text: &str| Timetable::new().cron(name, "@hourly", "UTC", &note(text));
    for name in ["", "a b", "a/b", "a@b", "ä", &"n".repeat(65)] {
        let text = hourly(name, "").unwrap_err().to_string();
        assert!(text.contains("name: ") && text.contains("is not of 1 to 64 ASCII letters"), "{text}");
    }
    assert!(
        Timetable::named("a/b").unwrap_err().to_string().contains("timetable: \"a/b\" is not of 1 to 32")
    );
    let text = hourly("a", "AKIAIOSFODNN7EXAMPLE").unwrap_err().to_string();
    assert!(text.starts_with("schedule \"a\": payload.text: it has an AWS access key ID"), "{text}");
    let twice = hourly("a", "").unwrap().cron("a", "@daily", "UTC", &note("")).unwrap_err();
    assert_eq!(twice.to_string(), "schedule \"a\": name: another schedule has it");
    let keyed = Timetable::new().every("k", Duration::from_secs(60), &Keyed {}).unwrap_err().to_string();
    assert!(
        keyed.contains("idempotency_key: each job keyed of this schedule would have the same one"),
        "{keyed}"
    );
    let fifo = Schedule::new("f", every_minute(), &note("")).unwrap().queue("orders.fifo");
    let text = Timetable::new().with(fifo.clone()).unwrap_err().to_string();
    assert!(text.starts_with("schedule \"f\": group: "), "{text}");
    assert!(Timetable::new().with(fifo.group("orders")).is_ok());
    let text = Schedule::of("p", every_minute(), OutboxJob::new("", "t", "{")).unwrap_err().to_string();
    assert!(text.starts_with("schedule \"p\": payload: is not JSON"), "{text}");
}
