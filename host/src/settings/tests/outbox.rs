//! The outbox of a process.

use super::*;

/// The outbox's URL in force, and as it is shown.
fn outbox(environment: &[(&str, &str)]) -> (Option<String>, Option<String>) {
    let environment = [&[("DRUMLINE_QUEUE_URL", JOBS)], environment].concat();
    let settings = read(&[], &environment, "").unwrap();
    let row = settings.effective.iter().find(|row| row.key == "outbox_url").unwrap();
    (settings.outbox_url.map(|url| url.expose().to_string()), row.value.clone())
}

#[test]
fn the_outbox_is_the_stores_server_unless_another_is_named() {
    let (postgres, redis) = ("postgres://app:pw@db/orders", "redis://:pw@cache:6379/2");
    let table = [
        (&[] as &[_], None, None),
        (&[("DRUMLINE_STORE_URL", "dynamodb://jobs")], None, None),
        (&[("DRUMLINE_STORE_URL", postgres)], Some(postgres), Some("postgres://***@db/orders")),
        (&[("DRUMLINE_STORE_URL", redis)], Some(redis), Some("redis://***@cache:6379/2")),
        (&[("DRUMLINE_OUTBOX_URL", postgres)], Some(postgres), Some("postgres://***@db/orders")),
        (
            &[("DRUMLINE_STORE_URL", redis), ("DRUMLINE_OUTBOX_URL", postgres)],
            Some(postgres),
            Some("postgres://***@db/orders"),
        ),
        (&[("DRUMLINE_OUTBOX_URL", "memory:")], Some("memory:"), Some("memory:")),
    ];
    for (environment, url, shown) in table {
        let expected = (url.map(str::to_owned), shown.map(str::to_owned));
        assert_eq!(outbox(environment), expected, "{environment:?}");
    }
}

#[test]
fn sent_jobs_are_kept_for_a_bounded_time() {
    let keep = |text| {
        let environment = [("DRUMLINE_QUEUE_URL", JOBS), ("DRUMLINE_OUTBOX_KEEP", text)];
        read(&[], &environment, "").map(|settings| settings.outbox_keep.as_secs()).map_err(|p| p.to_string())
    };
    assert_eq!((keep("0s"), keep("7d")), (Ok(0), Ok(604_800)));
    assert_eq!(read(&[], &[("DRUMLINE_QUEUE_URL", JOBS)], "").unwrap().outbox_keep.as_secs(), 0);
    for (text, says) in [("366d", "from 0s to 365d"), ("7", "is not a duration")] {
        let problems = keep(text).unwrap_err();
        assert!(problems.contains("DRUMLINE_OUTBOX_KEEP") && problems.contains(says), "{problems}");
    }
}

#[test]
fn only_the_outbox_of_a_postgres_store_is_relayed_by_a_worker() {
    let relays = |relay: Option<&str>, store: &str| {
        let environment = [("DRUMLINE_QUEUE_URL", JOBS), ("DRUMLINE_STORE_URL", store)];
        let relay = relay.map(|text| ("DRUMLINE_OUTBOX_RELAY", text));
        let environment: Vec<_> = environment.into_iter().chain(relay).collect();
        read(&[], &environment, "").map(|settings| settings.outbox_relay).map_err(|p| p.to_string())
    };
    let postgres = "postgres://db/orders";
    assert_eq!(relays(None, postgres), Ok(false), "it is off by default");
    assert_eq!((relays(Some("off"), "memory:"), relays(Some("on"), postgres)), (Ok(false), Ok(true)));
    for store in ["memory:", "redis://cache:6379", "dynamodb://jobs"] {
        let problems = relays(Some("on"), store).unwrap_err();
        let says = "needs store_url = postgres://";
        assert!(problems.contains("DRUMLINE_OUTBOX_RELAY") && problems.contains(says), "{problems}");
    }
    // The problem of the store is enough.
    let problems = relays(Some("on"), "nonsense").unwrap_err();
    assert!(!problems.contains("DRUMLINE_OUTBOX_RELAY"), "{problems}");
}

#[test]
fn what_is_no_outbox_is_a_problem_that_says_what_is_one() {
    let table = [
        ("dynamodb://jobs", "an outbox is postgres://… or redis://…"),
        ("file:jobs.db", "an outbox is postgres://… or redis://…"),
        ("mysql://localhost", "an outbox is postgres://… or redis://…"),
        ("localhost:6379", "an outbox is postgres://… or redis://…"),
        ("nonsense", "not a URL"),
    ];
    for (url, says) in table {
        // A store that holds an outbox does not stand in for a wrong one.
        let environment = [
            ("DRUMLINE_QUEUE_URL", JOBS),
            ("DRUMLINE_STORE_URL", "postgres://db/orders"),
            ("DRUMLINE_OUTBOX_URL", url),
        ];
        let problems = read(&[], &environment, "").unwrap_err().to_string();
        assert!(problems.contains("DRUMLINE_OUTBOX_URL") && problems.contains(says), "{url}: {problems}");
    }
}
