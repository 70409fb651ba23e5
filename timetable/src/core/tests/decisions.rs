//! Tests of decisions, case by case.

use super::*;

/// The instants that fire at some time, and the newest one that is skipped.
type Fires = (Vec<String>, Option<String>);

fn decide(schedule: &Schedule, state: &mut Option<State>, now: &str) -> Fires {
    let decision = due(schedule, state.as_ref(), at(now));
    *state = Some(decision.state);
    (texts(decision.firings), decision.skipped.map(|skipped| skipped.newest.to_string()))
}

fn fires(texts: &[&str]) -> Fires {
    (texts.iter().map(|&text| text.to_owned()).collect(), None)
}

const NOTHING: &[&str] = &[];

#[test]
fn a_new_schedule_fires_from_its_creation_on() {
    let schedule = schedule(every(60), CatchUp::All);
    let mut state = None;
    let table: [(&str, &[&str]); 6] = [
        ("2027-01-01T12:00:00Z", NOTHING),
        ("2027-01-01T12:00:59.999Z", NOTHING),
        ("2027-01-01T12:01:00Z", &["2027-01-01T12:01:00Z"]),
        ("2027-01-01T12:01:00Z", NOTHING),
        ("2027-01-01T12:01:59Z", NOTHING),
        ("2027-01-01T12:02:00.020Z", &["2027-01-01T12:02:00Z"]),
    ];
    for (now, expected) in table {
        assert_eq!(decide(&schedule, &mut state, now), fires(expected), "{now}");
    }
    let state = state.unwrap();
    assert_eq!(state.created, at("2027-01-01T12:00:00Z"));
    assert_eq!(state.last, Some(at("2027-01-01T12:02:00Z")));
}

/// A rule, its catch-up rule, the time, the instants that fire, and the newest one that is skipped.
type Case<'a> = (&'a Rule, CatchUp, &'a str, &'a [&'a str], Option<&'a str>);

#[test]
fn missed_firings_follow_the_rule_after_one_minute() {
    let minute = every(60);
    let hourly = cron("0 * * * *", "UTC");
    let day = cron("0 7 * * *", "UTC");
    let table: [Case<'_>; 10] = [
        // The schedule was created at 06:30:10, and no scheduler has run since.
        (&minute, CatchUp::Skip, "2027-01-01T06:34:05Z", &["06:34:00"], Some("06:33:00")),
        (&minute, CatchUp::Last, "2027-01-01T06:34:05Z", &["06:34:00"], Some("06:33:00")),
        (
            &minute,
            CatchUp::All,
            "2027-01-01T06:34:05Z",
            &["06:31:00", "06:32:00", "06:33:00", "06:34:00"],
            None,
        ),
        (&hourly, CatchUp::Skip, "2027-01-01T09:30:00Z", &[], Some("09:00:00")),
        (&hourly, CatchUp::Last, "2027-01-01T09:30:00Z", &["09:00:00"], Some("08:00:00")),
        (&hourly, CatchUp::All, "2027-01-01T09:30:00Z", &["07:00:00", "08:00:00", "09:00:00"], None),
        // One minute late is on time. More is late.
        (&day, CatchUp::Skip, "2027-01-01T07:00:59.999Z", &["07:00:00"], None),
        (&day, CatchUp::Skip, "2027-01-01T07:01:00Z", &[], Some("07:00:00")),
        (&day, CatchUp::Last, "2027-01-01T20:00:00Z", &["07:00:00"], None),
        (&day, CatchUp::All, "2027-01-01T06:59:59Z", &[], None),
    ];
    for (rule, catch_up, now, firings, skipped) in table {
        let schedule = schedule(rule.clone(), catch_up);
        let mut state = None;
        decide(&schedule, &mut state, "2027-01-01T06:30:10Z");
        let full = |time: &str| format!("2027-01-01T{time}Z");
        let expected = (firings.iter().map(|time| full(time)).collect(), skipped.map(full));
        assert_eq!(decide(&schedule, &mut state, now), expected, "{rule} {catch_up} {now}");
        assert_eq!(decide(&schedule, &mut state, now), fires(NOTHING), "no instant is decided twice");
    }
}

#[test]
fn catch_up_after_a_long_downtime_is_bounded_and_in_parts() {
    let schedule = schedule(every(60), CatchUp::All);
    let mut state = Some(due(&schedule, None, at("2026-01-01T00:00:00Z")).state);
    let now = at("2027-01-01T00:00:30Z");
    let mut firings = Vec::new();
    let mut skipped = Vec::new();
    loop {
        let decision = due(&schedule, state.as_ref(), now);
        assert!(decision.firings.len() <= MAX_AT_ONCE);
        firings.extend(decision.firings);
        skipped.extend(decision.skipped);
        state = Some(decision.state);
        if !decision.is_more {
            break;
        }
    }
    // A thousand late firings, and one that is on time.
    assert_eq!(firings.len(), MAX_CATCH_UP + 1);
    assert_eq!(firings.last(), Some(&at("2027-01-01T00:00:00Z")));
    assert!(firings.is_sorted_by(|a, b| a < b));
    let [skipped] = skipped[..] else { panic!("skipped firings are reported once: {skipped:?}") };
    assert_eq!((skipped.after, skipped.newest), (at("2026-01-01T00:00:00Z"), at("2026-12-31T07:19:00Z")));
    assert!(skipped.newest < firings[0]);
}

#[test]
fn a_clock_that_is_set_back_fires_no_instant_again() {
    let schedule = schedule(every(60), CatchUp::All);
    let mut state = None;
    let table: [(&str, &[&str]); 7] = [
        ("2027-01-01T12:00:30Z", NOTHING),
        ("2027-01-01T12:01:00Z", &["2027-01-01T12:01:00Z"]),
        ("2027-01-01T11:00:00Z", NOTHING),
        ("2027-01-01T11:30:00Z", NOTHING),
        ("2027-01-01T12:01:00Z", NOTHING),
        ("2027-01-01T12:01:59Z", NOTHING),
        ("2027-01-01T12:02:00Z", &["2027-01-01T12:02:00Z"]),
    ];
    for (now, expected) in table {
        assert_eq!(decide(&schedule, &mut state, now), fires(expected), "{now}");
    }
}

#[test]
fn a_clock_that_is_set_forward_is_a_downtime() {
    for (catch_up, count) in [(CatchUp::Skip, 1), (CatchUp::Last, 1), (CatchUp::All, 100)] {
        let schedule = schedule(every(60), catch_up);
        let mut state = None;
        decide(&schedule, &mut state, "2027-01-01T12:00:30Z");
        let (firings, _) = decide(&schedule, &mut state, "2027-01-01T20:00:30Z");
        assert_eq!(firings.len(), count, "{catch_up}");
    }
}

#[test]
fn a_changed_rule_starts_when_it_is_seen() {
    let minutes = schedule(every(60), CatchUp::All);
    let days = schedule(cron("0 7 * * *", "UTC"), CatchUp::All);
    let mut state = None;
    decide(&minutes, &mut state, "2027-01-01T12:00:30Z");
    decide(&minutes, &mut state, "2027-01-01T12:01:00Z");
    // With another rule a week later, no instant of that week fires by either rule.
    assert_eq!(decide(&days, &mut state, "2027-01-08T12:00:00Z"), fires(NOTHING));
    assert_eq!(decide(&days, &mut state, "2027-01-09T07:00:00Z"), fires(&["2027-01-09T07:00:00Z"]));
    assert_eq!(decide(&minutes, &mut state, "2027-01-09T07:30:30Z"), fires(NOTHING));
    assert_eq!(decide(&minutes, &mut state, "2027-01-09T07:31:00Z"), fires(&["2027-01-09T07:31:00Z"]));
    // Another time zone is another rule. Other spaces are not.
    let zurich = schedule(cron("0 7 * * *", "Europe/Zurich"), CatchUp::All);
    decide(&days, &mut state, "2027-01-10T00:00:00Z");
    assert_eq!(decide(&zurich, &mut state, "2027-01-10T06:30:00Z"), fires(NOTHING));
    let spaced = schedule(cron(" 0  7 * * *", "Europe/Zurich"), CatchUp::All);
    let before = state.clone();
    decide(&spaced, &mut state, "2027-01-10T12:00:00Z");
    assert_eq!(state, before);
    // A clock that is set back and a changed rule together fire nothing again.
    assert_eq!(decide(&minutes, &mut state, "2027-01-09T00:00:00Z"), fires(NOTHING));
    assert_eq!(state.unwrap().decided, at("2027-01-10T06:30:00Z"));
}

#[test]
fn a_pause_skips_what_falls_into_it() {
    let schedule = schedule(every(60), CatchUp::All);
    let mut state = None;
    decide(&schedule, &mut state, "2027-01-01T12:00:30Z");
    let paused = state.unwrap().pause(at("2027-01-01T12:00:40Z"));
    assert_eq!(paused.clone().pause(at("2027-01-01T13:00:00Z")), paused, "a second pause changes nothing");
    let mut state = Some(paused);
    assert_eq!(decide(&schedule, &mut state, "2027-01-01T12:05:00Z"), fires(NOTHING));
    let resumed = state.unwrap().resume(at("2027-01-01T12:05:30Z"));
    assert_eq!(
        resumed.clone().resume(at("2027-01-01T13:00:00Z")),
        resumed,
        "a second resume changes nothing"
    );
    let mut state = Some(resumed);
    assert_eq!(decide(&schedule, &mut state, "2027-01-01T12:05:59Z"), fires(NOTHING));
    assert_eq!(decide(&schedule, &mut state, "2027-01-01T12:06:00Z"), fires(&["2027-01-01T12:06:00Z"]));
    // A rule that changes during the pause does not end it.
    let other = super::schedule(every(30), CatchUp::All);
    let mut state = Some(state.unwrap().pause(at("2027-01-01T12:06:10Z")));
    decide(&other, &mut state, "2027-01-01T12:07:10Z");
    assert_eq!(decide(&other, &mut state, "2027-01-01T12:08:10Z"), fires(NOTHING));
}

#[test]
fn a_schedule_that_was_removed_starts_again_like_a_new_one() {
    let schedule = schedule(every(60), CatchUp::All);
    let mut state = None;
    decide(&schedule, &mut state, "2027-01-01T12:00:30Z");
    let mut state = Some(state.unwrap().remove(at("2027-01-01T12:00:40Z")));
    assert_eq!(decide(&schedule, &mut state, "2027-02-01T12:00:30Z"), fires(NOTHING));
    assert_eq!(state.as_ref().unwrap().removed, None);
    assert_eq!(decide(&schedule, &mut state, "2027-02-01T12:01:00Z"), fires(&["2027-02-01T12:01:00Z"]));
}

#[test]
fn a_state_is_a_small_text_with_a_version() {
    let schedule = schedule(cron("0 7 * * *", "Europe/Zurich"), CatchUp::Last);
    let state = due(&schedule, None, at("2027-01-01T00:00:00Z")).state;
    let text = state.to_text();
    assert_eq!(
        text,
        r#"{"version":1,"rule":{"cron":"0 7 * * *","timeZone":"Europe/Zurich"},"created":"2027-01-01T00:00:00Z","decided":"2027-01-01T00:00:00Z"}"#
    );
    let full =
        due(&schedule, Some(&state), at("2027-01-01T06:00:01Z")).state.pause(at("2027-01-01T07:00:00Z"));
    let full = full.remove(at("2027-01-01T08:00:00Z"));
    assert_eq!(full.last, Some(at("2027-01-01T06:00:00Z")));
    for state in
        [state, full, due(&super::schedule(every(90), CatchUp::Skip), None, at("2027-01-01T00:00:00Z")).state]
    {
        assert_eq!(State::parse(&state.to_text()).as_ref(), Ok(&state));
        assert!(state.rule().is_some());
    }
    let error = State::parse(r#"{"version":2,"rules":[]}"#).unwrap_err().to_string();
    assert!(error.contains("is of version 2, and this program knows 1"), "{error}");
    assert!(State::parse("x").unwrap_err().to_string().starts_with("is not the state of a schedule"));
}
