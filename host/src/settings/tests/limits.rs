//! The `[limits."TYPE"]` tables.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use drumline::core::{BreakerRule, JobKind, RateKey};

use super::*;

fn problems(file: &str) -> Problems {
    read(&[], &[("DRUMLINE_QUEUE_URL", JOBS)], file).unwrap_err()
}

#[test]
fn limits_are_tables_by_job_type() {
    let file = "[limits.\"email.send\"]\nrate = \"50/s\"\nburst = 10\nkey = \"/customerId\"\n\
                [limits.image]\nkind = \"cpu\"\nconcurrency = 3\n\
                [limits.\"sms.send\"]\nrate = \"600/m\"\nkey = \"group\"\n";
    let settings = read(&[], &[("DRUMLINE_QUEUE_URL", JOBS)], file).unwrap();
    let of = |name: &str| settings.limits.types[name].clone();
    assert_eq!(settings.limits.types.len(), 3);
    let rate = of("email.send").rate.unwrap();
    assert_eq!((rate.rate.to_string(), rate.burst), ("50/s".to_owned(), NonZeroU32::new(10).unwrap()));
    assert_eq!(rate.key, Some(RateKey::Pointer("/customerId".into())));
    assert_eq!((of("image").kind, of("image").concurrency), (JobKind::Cpu, NonZeroUsize::new(3)));
    assert_eq!((of("email.send").kind, of("email.send").concurrency), (JobKind::Io, None));
    assert_eq!(of("sms.send").rate.unwrap().key, Some(RateKey::Group));
    let shown = |key: &str| {
        let row = settings.effective.iter().find(|row| row.key == key).unwrap();
        (row.value.clone().unwrap(), row.origin.clone())
    };
    let mail = "burst = 10, key = \"/customerId\", rate = \"50/s\"";
    assert_eq!(shown("limits.email.send"), (mail.to_owned(), Origin::File));
    assert_eq!(shown("limits.image"), ("concurrency = 3, kind = \"cpu\"".to_owned(), Origin::File));
}

#[test]
fn a_breaker_needs_one_of_two_rules_and_has_other_defaults() {
    let file = "[limits.a]\nbreaker_failures = 5\n\
                [limits.b]\nbreaker_share = \"50%\"\nbreaker_window = \"5m\"\nbreaker_runs = 9\nbreaker_pause = \"1s\"\n\
                [limits.c]\nconcurrency = 2\n";
    let settings = read(&[], &[("DRUMLINE_QUEUE_URL", JOBS)], file).unwrap();
    let of = |name: &str| settings.limits.types[name].breaker.clone();
    let defaults = BreakerRule {
        failures: NonZeroU32::new(5),
        share: None,
        window: Duration::from_secs(60),
        min_runs: NonZeroU32::new(20).unwrap(),
        pause: Duration::from_secs(30),
    };
    assert_eq!(of("a"), Some(defaults));
    let all = BreakerRule {
        failures: None,
        share: Some("50%".parse().unwrap()),
        window: Duration::from_secs(300),
        min_runs: NonZeroU32::new(9).unwrap(),
        pause: Duration::from_secs(1),
    };
    assert_eq!((of("b"), of("c")), (Some(all), None));
    let file = "[limits.a]\nbreaker_pause = \"2h\"\n\
                [limits.b]\nbreaker_failures = 0\nbreaker_runs = 5\n\
                [limits.c]\nbreaker_share = \"0.5\"\nbreaker_window = \"100ms\"\n";
    let found = problems(file);
    let all = found.to_string();
    for says in [
        "[limits.\"a\"]: breaker_failures: is missing, or breaker_share: one of them pauses the type",
        "[limits.\"a\"]: breaker_pause = \"2h\": must be a duration from 1s to 1h",
        "[limits.\"b\"]: breaker_share: is missing: breaker_window and breaker_runs are parts of it",
        "[limits.\"b\"]: breaker_failures = \"0\": must be a whole number from 1",
        "[limits.\"c\"]: breaker_share = \"0.5\": a share is a whole number from 1% to 100%",
        "[limits.\"c\"]: breaker_window = \"100ms\": must be a duration from 1s to 1h",
    ] {
        assert!(all.contains(says), "{says} in\n{all}");
    }
    assert_eq!(found.list.len(), 6, "{all}");
}

#[test]
fn a_fifo_queue_takes_no_tenant_share_of_its_own() {
    const FIFO: &str = "http://127.0.0.1:9324/000000000000/orders.fifo";
    let file = format!(
        "tenant_share = \"25%\"\n[[queue]]\nurl = \"{JOBS}\"\n[[queue]]\nurl = \"{MAIL}\"\ntenant_share = \"10%\"\n\
         [[queue]]\nurl = \"{FIFO}\"\n"
    );
    let settings = read(&[], &[], &file).unwrap();
    let shares = settings.queues.iter().map(|queue| queue.tenant_share.map(|share| share.to_string()));
    let expected = [Some("25%".to_owned()), Some("10%".to_owned()), None];
    assert_eq!(shares.collect::<Vec<_>>(), expected, "that of all queues leaves FIFO queues alone");
    let file = format!("[[queue]]\nurl = \"{FIFO}\"\ntenant_share = \"25%\"\n");
    let all = read(&[], &[], &file).unwrap_err().to_string();
    assert!(
        all.contains("tenant_share = \"25%\" (file, [[queue]]): a message group of a FIFO queue"),
        "{all}"
    );
    let all = read(&[], &[("DRUMLINE_TENANT_SHARE", "25"), ("DRUMLINE_QUEUE_URL", JOBS)], "").unwrap_err();
    assert!(all.to_string().contains("DRUMLINE_TENANT_SHARE = \"25\": a share is a whole number"), "{all}");
}

#[test]
fn all_that_is_wrong_with_limits_is_reported_at_once() {
    let file = "[limits.a]\nconcurency = 2\nkind = \"gpu\"\nrate = \"50/sec\"\n\
                [limits.b]\nconcurrency = 0\nrate = [50]\nburst = 0\nkey = \"customerId\"\n\
                [limits.c]\nburst = 5\n\
                [limits.email.send]\nconcurrency = 2\n\
                [limits.d]\n\
                [limits.e]\nrate = \"2000000/s\"\n";
    let found = problems(file);
    let all = found.to_string();
    for says in [
        "[limits.\"a\"]: concurency: is no part of the limits of a type; did you mean concurrency? there are concurrency, ",
        "[limits.\"a\"]: kind = \"gpu\": must be io or cpu",
        "[limits.\"a\"]: rate = \"50/sec\": a rate is a number per s, m or h, such as 50/s",
        "[limits.\"b\"]: concurrency = \"0\": must be",
        "[limits.\"b\"]: rate: must be a text or a number",
        "[limits.\"b\"]: burst = \"0\": must be a whole number from 1",
        "[limits.\"b\"]: key = \"customerId\": must be group, or a JSON pointer into the payload, such as /customerId",
        "[limits.\"c\"]: rate: is missing: burst and key are parts of a rate",
        "[limits.\"email\"]: a job type with dots needs quotes: write [limits.\"email.send\"]",
        "[limits.\"d\"]: limits nothing; there are concurrency, kind, rate",
        "[limits.\"e\"]: rate = \"2000000/s\": a rate is at most 1000000/s",
    ] {
        assert!(all.contains(says), "{says} in\n{all}");
    }
    assert_eq!(found.list.len(), 11, "{all}");
}

#[test]
fn limits_in_other_places_are_refused_with_the_right_place() {
    let table = [
        (
            "limits = 5",
            "limits: write the limits of each job type as a table, such as [limits.\"email.send\"]",
        ),
        ("[limits]\nmail = \"50/s\"", "[limits.\"mail\"]: write the limits of each job type as a table"),
        ("[[limits]]\nrate = \"50/s\"", "limits: write the limits of each job type as a table"),
        ("[limit.mail]\nrate = \"50/s\"", "limit: no such setting; did you mean limits? there are "),
        (
            "[[queue]]\nurl = \"http://127.0.0.1:9324/000000000000/jobs\"\n[queue.limits.mail]\nrate = \"50/s\"",
            "[[queue]] 1: limits: limits are those of a job type on all queues: write [limits.\"TYPE\"] at the top level",
        ),
    ];
    for (file, says) in table {
        let all = problems(file).to_string();
        assert!(all.contains(says), "{says} in\n{all}");
    }
    let variables = [("DRUMLINE_QUEUE_URL", JOBS), ("DRUMLINE_LIMITS", "mail=50/s")];
    let all = read(&[], &variables, "").unwrap_err().to_string();
    assert!(
        all.contains("DRUMLINE_LIMITS: a table cannot be a variable; write [limits.\"TYPE\"] in the file"),
        "{all}"
    );
}
