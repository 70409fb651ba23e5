//! The instants of rules: daylight saving changes, leap days, intervals.

use super::*;

/// Returns the instants after `from` up to and including `until`.
fn between(rule: &Rule, from: &str, until: &str) -> Vec<String> {
    texts(rule.between(at(from), at(until)))
}

/// On 2026-03-29 clocks in Zurich go from 02:00 CET to 03:00 CEST, at 01:00 UTC.
#[test]
fn a_skipped_local_time_fires_once_at_the_end_of_the_gap() {
    let table: [(&str, &[&str]); 10] = [
        ("30 2 * * *", &["2026-03-29T01:00:00Z"]),
        ("0 2 * * *", &["2026-03-29T01:00:00Z"]),
        ("0 3 * * *", &["2026-03-29T01:00:00Z"]),
        ("30 1 * * *", &["2026-03-29T00:30:00Z"]),
        // Several local times in the gap are one firing at its end, and the same firing as one that is already there.
        ("*/15 2 * * *", &["2026-03-29T01:00:00Z"]),
        ("30 2,3 * * *", &["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]),
        ("0 2-4 * * *", &["2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"]),
        ("30 2 30 3 *", &[]),
        // An expression for every hour follows elapsed time: nothing fires in the gap, and its local times are not made up for.
        ("30 * * * *", &["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"]),
        ("59 0-23 * * *", &["2026-03-29T00:59:00Z", "2026-03-29T01:59:00Z"]),
    ];
    for (expression, expected) in table {
        let rule = cron(expression, "Europe/Zurich");
        assert_eq!(between(&rule, "2026-03-29T00:00:00Z", "2026-03-29T02:30:00Z"), expected, "{expression}");
    }
}

/// On 2026-10-25 clocks in Zurich go from 03:00 CEST back to 02:00 CET, at 01:00 UTC.
#[test]
fn a_local_time_that_occurs_twice_fires_the_first_time() {
    let table: [(&str, &[&str]); 7] = [
        ("30 2 * * *", &["2026-10-25T00:30:00Z"]),
        ("0 2 * * *", &["2026-10-25T00:00:00Z"]),
        ("0 3 * * *", &["2026-10-25T02:00:00Z"]),
        ("*/30 2 * * *", &["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"]),
        ("0 2,14 * * *", &["2026-10-25T00:00:00Z"]),
        // An hour that occurs twice is two hours.
        (
            "30 * * * *",
            &["2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"],
        ),
        ("0 0 * * *", &[]),
    ];
    for (expression, expected) in table {
        let rule = cron(expression, "Europe/Zurich");
        assert_eq!(between(&rule, "2026-10-24T23:00:00Z", "2026-10-25T02:30:00Z"), expected, "{expression}");
        // Within the second hour, the firings of the first one are over.
        let later = between(&rule, "2026-10-25T01:10:00Z", "2026-10-25T02:30:00Z");
        let after: Vec<&str> =
            expected.iter().copied().filter(|text| *text > "2026-10-25T01:10:00Z").collect();
        assert_eq!(later, after, "{expression}");
    }
}

#[test]
fn other_changes_of_the_clock_are_followed() {
    let table: [(&str, &str, &str, &str, &[&str]); 5] = [
        // Midnight is skipped: 2026-04-24 in Cairo starts at 01:00.
        (
            "Africa/Cairo",
            "0 0 * * *",
            "2026-04-23T12:00:00Z",
            "2026-04-24T12:00:00Z",
            &["2026-04-23T22:00:00Z"],
        ),
        // A whole day is skipped: 2011-12-30 in Samoa.
        (
            "Pacific/Apia",
            "0 7 * * *",
            "2011-12-29T20:00:00Z",
            "2011-12-31T20:00:00Z",
            &["2011-12-30T10:00:00Z", "2011-12-30T17:00:00Z", "2011-12-31T17:00:00Z"],
        ),
        // Half an hour is skipped: 2026-10-04 on Lord Howe Island, 02:00 to 02:30.
        (
            "Australia/Lord_Howe",
            "15 2 * * *",
            "2026-10-03T12:00:00Z",
            "2026-10-04T12:00:00Z",
            &["2026-10-03T15:30:00Z"],
        ),
        (
            "America/New_York",
            "0 7 * * MON",
            "2026-03-01T00:00:00Z",
            "2026-03-10T00:00:00Z",
            &["2026-03-02T12:00:00Z", "2026-03-09T11:00:00Z"],
        ),
        ("UTC", "30 2 * * *", "2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z", &["2026-03-29T02:30:00Z"]),
    ];
    for (zone, expression, from, until, expected) in table {
        assert_eq!(between(&cron(expression, zone), from, until), expected, "{expression} {zone}");
    }
}

#[test]
fn expressions_say_what_they_say_elsewhere() {
    let table: [(&str, &[&str]); 9] = [
        ("0 12 29 2 *", &["2028-02-29T12:00:00Z", "2032-02-29T12:00:00Z"]),
        ("0 12 31 * *", &["2027-01-31T12:00:00Z", "2027-03-31T12:00:00Z"]),
        ("0 12 L * *", &["2027-01-31T12:00:00Z", "2027-02-28T12:00:00Z"]),
        // A day of the month or a weekday, as in cron. With `+`, both.
        ("0 12 1 * FRI", &["2027-01-01T12:00:00Z", "2027-01-08T12:00:00Z"]),
        ("0 12 13 * +FRI", &["2027-08-13T12:00:00Z", "2028-10-13T12:00:00Z"]),
        ("0 12 * * 7", &["2027-01-03T12:00:00Z", "2027-01-10T12:00:00Z"]),
        ("0 12 * * FRI#2", &["2027-01-08T12:00:00Z", "2027-02-12T12:00:00Z"]),
        ("@daily", &["2027-01-02T00:00:00Z", "2027-01-03T00:00:00Z"]),
        ("*/20 5 12 * * *", &["2027-01-01T12:05:00Z", "2027-01-01T12:05:20Z"]),
    ];
    for (expression, expected) in table {
        let rule = cron(expression, "UTC");
        let found = rule.between(at("2027-01-01T00:00:00Z"), at("2040-01-01T00:00:00Z")).take(2);
        assert_eq!(texts(found), expected, "{expression}");
    }
}

#[test]
fn fractions_of_a_second_change_nothing() {
    for rule in [cron("* * * * * *", "UTC"), cron("* * 12 * * *", "UTC"), every(1)] {
        for (after, expected) in [
            ("2027-01-01T12:00:00.999Z", "2027-01-01T12:00:01Z"),
            ("2027-01-01T12:00:01Z", "2027-01-01T12:00:02Z"),
            ("2027-01-01T12:00:01.001Z", "2027-01-01T12:00:02Z"),
        ] {
            assert_eq!(rule.next_after(at(after)).unwrap().to_string(), expected, "{rule} {after}");
        }
    }
}

#[test]
fn intervals_are_multiples_since_the_epoch() {
    let table: [(u64, &str, &str); 6] = [
        (1, "2027-01-01T00:00:00Z", "2027-01-01T00:00:01Z"),
        (300, "2027-01-01T00:00:01Z", "2027-01-01T00:05:00Z"),
        (300, "2027-01-01T00:05:00Z", "2027-01-01T00:10:00Z"),
        (3600, "2027-01-01T00:59:59.5Z", "2027-01-01T01:00:00Z"),
        (86_400, "2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z"),
        (300, "1969-12-31T23:57:00Z", "1970-01-01T00:00:00Z"),
    ];
    for (seconds, after, expected) in table {
        assert_eq!(every(seconds).next_after(at(after)).unwrap().to_string(), expected, "{seconds} {after}");
    }
    let texts: Vec<String> = [1, 90, 300, 5400, 7200, 172_800].map(|secs| every(secs).to_string()).into();
    assert_eq!(texts, ["every 1s", "every 90s", "every 5m", "every 90m", "every 2h", "every 2d"]);
}

#[test]
fn the_newest_instants_are_found_however_long_ago_the_oldest_is() {
    let (long_ago, now) = (at("2000-01-01T00:00:00Z"), at("2027-06-15T12:00:30Z"));
    let table: [(Rule, usize, &[&str]); 6] = [
        (every(1), 2, &["2027-06-15T12:00:29Z", "2027-06-15T12:00:30Z"]),
        (every(3600), 2, &["2027-06-15T11:00:00Z", "2027-06-15T12:00:00Z"]),
        (cron("* * * * * *", "UTC"), 1, &["2027-06-15T12:00:30Z"]),
        (cron("0 0 29 2 *", "UTC"), 2, &["2020-02-29T00:00:00Z", "2024-02-29T00:00:00Z"]),
        (cron("0 0 29 2 *", "UTC"), 100, &[]),
        (cron("0 0 1 1 *", "UTC"), 1, &["2027-01-01T00:00:00Z"]),
    ];
    for (rule, limit, expected) in table {
        let found = rule.newest(long_ago, now, limit);
        if expected.is_empty() {
            assert_eq!(found.len(), 7, "{rule}: all instants");
        } else {
            assert_eq!(texts(found), expected, "{rule}");
        }
    }
    assert!(every(60).newest(now, now, 5).is_empty());
    assert!(every(60).newest(now, long_ago, 5).is_empty());
}
