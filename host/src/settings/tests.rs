#![allow(clippy::unwrap_used)]
mod documented;
mod environment;
mod forward;
mod guards;
mod identity;
mod limits;
mod outbox;
mod producing;
mod schedules;
mod secrets;
mod slots;

use super::*;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use drumline::core::JitterMode;
use drumline::message::RequiredFields;
use std::io::Write;
use std::time::Duration;
use url::Url;

use crate::gate::GateLimits;

const JOBS: &str = "http://127.0.0.1:9324/000000000000/jobs";
const MAIL: &str = "http://127.0.0.1:9324/000000000000/mail";

fn read(flags: &[(&str, &str)], environment: &[(&str, &str)], file: &str) -> Result<Settings, Problems> {
    let mut on_disk = tempfile::NamedTempFile::new().unwrap();
    on_disk.write_all(file.as_bytes()).unwrap();
    let flags = flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let environment =
        |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned());
    Settings::read(&flags, environment, Some(on_disk.path()))
}

#[test]
fn flags_beat_the_environment_beats_the_file_beats_defaults() {
    let file =
        format!("queue_url = \"{JOBS}\"\nconcurrency = 1\nwait_time = \"1s\"\nhandler_timeout = \"1m\"");
    let environment = [("DRUMLINE_CONCURRENCY", "2"), ("DRUMLINE_WAIT_TIME", "2s"), ("DRUMLINE_LOG", "")];
    let settings = read(&[("concurrency", "3")], &environment, &file).unwrap();
    let queue = &settings.queues[0];
    assert_eq!(queue.concurrency.get(), 3);
    assert_eq!(queue.wait_time.as_secs(), 2);
    assert_eq!(queue.handler_timeout.as_secs(), 60);
    assert_eq!(settings.shutdown_grace.as_secs(), 25);
    let origin = |key: &str| settings.effective.iter().find(|e| e.key == key).unwrap().origin.clone();
    assert_eq!(origin("concurrency"), Origin::Flag);
    assert_eq!(origin("wait_time"), Origin::Environment);
    assert_eq!(origin("handler_timeout"), Origin::File);
    assert_eq!(origin("log"), Origin::Default);
    assert_eq!(origin("visibility_timeout"), Origin::Queue);
}

#[test]
fn queues_may_have_settings_of_their_own() {
    let file = format!(
        "concurrency = 5\nretry_jitter = \"none\"\n[retry_by_type]\n\"a.b\" = \"10s\"\n\
         [[queue]]\nurl = \"{JOBS}\"\n[[queue]]\nurl = \"{MAIL}\"\nconcurrency = 9\n[queue.retry_by_type]\n\"a.b\" = \"1m\""
    );
    let settings = read(&[], &[], &file).unwrap();
    let [jobs, mail] = &settings.queues[..] else { panic!("two queues") };
    assert_eq!((jobs.concurrency.get(), mail.concurrency.get()), (5, 9));
    assert_eq!(jobs.retry_by_type["a.b"].longest().as_secs(), 10);
    assert_eq!(mail.retry_by_type["a.b"].longest().as_secs(), 60);
    assert_eq!(mail.retry_by_type["a.b"].jitter(), JitterMode::None);
}

#[test]
fn a_queue_has_the_gate_of_all_queues_or_its_own_or_none() {
    let file = format!(
        "gate_depth = \"10,100\"\ngate_age = \"1m,10m\"\n\
         [[queue]]\nurl = \"{JOBS}\"\n[[queue]]\nurl = \"{MAIL}\"\ngate_depth = \"off\"\ngate_age = \"off\""
    );
    let settings = read(&[], &[], &file).unwrap();
    let of_all = GateLimits::default().depth(10, 100).unwrap();
    let of_all = of_all.age(Duration::from_secs(60), Duration::from_secs(600)).unwrap();
    assert_eq!(
        settings.queues.iter().map(|queue| queue.gate).collect::<Vec<_>>(),
        [of_all, GateLimits::default()]
    );
    let wrong =
        [("DRUMLINE_GATE_DEPTH", "100,10"), ("DRUMLINE_GATE_AGE", "1m"), ("DRUMLINE_QUEUE_URL", JOBS)];
    let problems = read(&[], &wrong, "").unwrap_err().to_string();
    for says in [
        "DRUMLINE_GATE_DEPTH = \"100,10\": must be SLOW,SHED",
        "DRUMLINE_GATE_AGE = \"1m\": must be off, or two durations",
    ] {
        assert!(problems.contains(says), "{says} in\n{problems}");
    }
}

#[test]
fn several_queues_fit_into_one_variable() {
    let both = format!("{JOBS}, {MAIL}");
    let settings = read(&[], &[("DRUMLINE_QUEUE_URL", &both)], "").unwrap();
    assert_eq!(settings.queues.iter().map(|q| q.url.as_str()).collect::<Vec<_>>(), [JOBS, MAIL]);
}

#[test]
fn all_problems_are_told_at_once() {
    let file = "concurency = 1\nretry = \"linear(1s)\"\n[[queue]]\nconcurrency = 1\nhttp_addr = \"off\"";
    let environment = [
        ("DRUMLINE_CONCURRENCY", "0"),
        ("DRUMLINE_WAIT_TIME", "21s"),
        ("DRUMLINE_VISIBILITY_TIMEOUT", "1500ms"),
        ("DRUMLINE_HANDLER_TIMEOUT", "5"),
        ("DRUMLINE_STORE_URL", "mysql://localhost"),
        ("DRUMLINE_STORE_OUTAGE", "open"),
        ("DRUMLINE_DONE_TTL", "7"),
        ("DRUMLINE_MAX_ATTEMPTS", "0"),
        ("DRUMLINE_FORWARD_TO", "localhost:8080"),
        ("DRUMLINE_HTTP_ADDR", "9464"),
        ("DRUMLINE_QUEUE_URL", "jobs/"),
        ("DRUMLINE_PERMANENT_FAILURES", "dlq"),
    ];
    let problems = read(&[], &environment, file).unwrap_err();
    let all = problems.to_string();
    for says in [
        "concurency: no such setting",
        "url: is missing",
        "http_addr: no such setting",
        "DRUMLINE_CONCURRENCY = \"0\": must be a whole number from 1 to 10000",
        "DRUMLINE_WAIT_TIME = \"21s\"",
        "DRUMLINE_VISIBILITY_TIMEOUT = \"1500ms\": must be whole seconds",
        "DRUMLINE_HANDLER_TIMEOUT = \"5\": is not a duration",
        "DRUMLINE_STORE_URL = \"mysql://localhost\"",
        "DRUMLINE_STORE_OUTAGE = \"open\": must be one of retry, run",
        "DRUMLINE_DONE_TTL = \"7\": must be a duration from 1m to 365d",
        "DRUMLINE_MAX_ATTEMPTS = \"0\": must be a whole number from 1",
        "DRUMLINE_FORWARD_TO = \"***\"",
        "DRUMLINE_HTTP_ADDR = \"9464\"",
        "DRUMLINE_QUEUE_URL: \"jobs/\" is not a URL",
        "DRUMLINE_PERMANENT_FAILURES = \"dlq\": must be one of redrive, dead-letter",
        "retry = \"linear(1s)\" (file)",
    ] {
        assert!(all.contains(says), "{says} in\n{all}");
    }
    assert_eq!(problems.list.len(), 16, "{all}");
}

#[test]
fn a_queue_is_needed_and_only_once() {
    let problems = read(&[], &[("DRUMLINE_CONCURRENCY", "0")], "").unwrap_err().to_string();
    assert!(
        problems.contains("no queue is given") && problems.contains("DRUMLINE_CONCURRENCY"),
        "{problems}"
    );
    let twice = format!("{JOBS},{JOBS}");
    assert!(read(&[("queue_url", &twice)], &[], "").unwrap_err().to_string().contains("given twice"));
}

#[test]
fn an_arn_and_a_url_of_one_queue_are_one_queue() {
    let (arn, url) =
        ("arn:aws:sqs:eu-west-1:123456789012:jobs", "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs");
    let problems = read(&[("queue_url", &format!("{arn},{url}"))], &[], "").unwrap_err().to_string();
    assert!(problems.contains(&format!("{url} is given twice")), "{problems}");
    for (listed, in_file) in [(arn, url), (url, arn)] {
        let file = format!("[[queue]]\nurl = \"{in_file}\"\nconcurrency = 7\n");
        let settings = read(&[], &[("DRUMLINE_QUEUE_URL", listed)], &file).unwrap();
        let queue = &settings.queues[0];
        assert_eq!((queue.url.as_str(), queue.concurrency.get()), (url, 7), "{listed}");
    }
    let file = format!("[[queue]]\nurl = \"{url}\"\n[[queue]]\nurl = \"{arn}\"\n");
    let problems = read(&[], &[], &file).unwrap_err().to_string();
    assert!(problems.contains(&format!("{arn} is given twice")), "{problems}");
}

#[test]
fn a_function_needs_no_queue_and_knows_those_it_was_given() {
    let environment = |name: &str| match name {
        "DRUMLINE_QUEUE_URL" => Some(JOBS.to_owned()),
        "DRUMLINE_CONCURRENCY" => Some("3".to_owned()),
        _ => None,
    };
    let settings = Settings::read_for_function(environment).unwrap();
    let url = Url::parse("https://sqs.eu-west-1.amazonaws.com/000000000000/jobs").unwrap();
    assert_eq!(settings.for_queue(&url).url.as_str(), JOBS, "same account and name");
    let other = Url::parse("https://sqs.eu-west-1.amazonaws.com/111111111111/jobs").unwrap();
    let queue = settings.for_queue(&other);
    assert_eq!((queue.url, queue.concurrency.get()), (other, 3));
    let by_name = |name: &str| (name == "DRUMLINE_QUEUE_URL").then(|| "jobs".to_owned());
    let settings = Settings::read_for_function(by_name).unwrap();
    assert_eq!(settings.for_queue(&url).url, url, "a name is that of the event's queue");
    assert!(Settings::read_for_function(|_| None).unwrap().queues.is_empty());
    let wrong = |name: &str| (name == "DRUMLINE_FIFO_STOP").then(|| "never".to_owned());
    assert!(Settings::read_for_function(wrong).unwrap_err().to_string().contains("DRUMLINE_FIFO_STOP"));
}

#[test]
fn a_tool_needs_no_queue_and_reads_every_source() {
    let flags = BTreeMap::from([("http_addr".to_owned(), "127.0.0.1:9999".to_owned())]);
    let environment = |name: &str| (name == "DRUMLINE_STORE_URL").then(|| "memory:".to_owned());
    let settings = Settings::read_for_tool(&flags, environment, None).unwrap();
    assert!(settings.queues.is_empty());
    assert_eq!(settings.http_addr.unwrap().port(), 9999);
    let wrong = |name: &str| (name == "DRUMLINE_STORE_URL").then(|| "ftp://tmp".to_owned());
    assert!(
        Settings::read_for_tool(&flags, wrong, None).unwrap_err().to_string().contains("DRUMLINE_STORE_URL")
    );
}

#[test]
fn a_missing_or_broken_file_is_a_problem() {
    let missing = Settings::read(&BTreeMap::new(), |_| None, Some(Path::new("/nonexistent/drumline.toml")));
    assert!(missing.unwrap_err().to_string().contains("cannot be read"));
    assert!(read(&[], &[], "concurrency = ").unwrap_err().to_string().contains("is not TOML"));
}

#[test]
fn the_table_has_every_fixed_name() {
    for name in [
        "QUEUE_URL",
        "CONCURRENCY",
        "VISIBILITY_TIMEOUT",
        "WAIT_TIME",
        "SHUTDOWN_GRACE",
        "HANDLER_TIMEOUT",
        "RETRY",
        "RETRY_JITTER",
        "PERMANENT_FAILURES",
        "STORE_URL",
        "SCOPE",
        "FORWARD_TO",
        "HTTP_ADDR",
        "LOG_FORMAT",
    ] {
        assert!(SETTINGS.iter().any(|setting| setting.variable() == format!("DRUMLINE_{name}")), "{name}");
    }
}

#[test]
fn embedded_metrics_are_on_in_a_function_and_off_in_a_worker() {
    let set = |value: &'static str| move |name: &str| (name == "DRUMLINE_EMF").then(|| value.to_owned());
    assert!(Settings::read_for_function(|_| None).unwrap().emf);
    assert!(!Settings::read_for_function(set("off")).unwrap().emf);
    let queue = ("DRUMLINE_QUEUE_URL", JOBS);
    assert!(!read(&[], &[queue], "").unwrap().emf);
    assert!(read(&[], &[queue, ("DRUMLINE_EMF", "on")], "").unwrap().emf);
    let problems = read(&[], &[queue, ("DRUMLINE_EMF", "yes")], "").unwrap_err();
    assert!(problems.to_string().contains("DRUMLINE_EMF"), "{problems}");
}
