#![allow(clippy::unwrap_used)]

use crate::letter::Letter;
use proptest::prelude::*;

use super::*;
use crate::alert::Others;

const HOUR: u64 = 3_600_000;

fn death(id: u128, reason: &str) -> Death {
    Death {
        message: LetterId::from(id),
        origin: Some("jobs".to_owned()),
        job_type: Some("email.send".to_owned()),
        class: Some("rejected".to_owned()),
        reason: reason.to_owned(),
    }
}

fn deaths(ids: std::ops::Range<u128>) -> Vec<Death> {
    ids.map(|id| death(id, &format!("no user {id}"))).collect()
}

/// Records a depth. Returns true if a look is due.
fn is_due(watch: &mut Watch, depth: u64, now: u64) -> bool {
    watch.depth(depth, now);
    watch.is_look_due(now)
}

/// Records a look that shows these letters.
fn look(watch: &mut Watch, deaths: Vec<Death>, now: u64) -> Vec<Death> {
    watch.looked(deaths.len(), deaths, now)
}

fn counts(alerts: &[Alert]) -> Vec<(u64, bool)> {
    alerts.iter().map(|alert| (alert.count, alert.is_new)).collect()
}

#[test]
fn nothing_is_looked_at_while_nothing_dies() {
    let mut watch = Watch::new("jobs-dlq", HOUR, true);
    for minute in 0..100 {
        assert!(!is_due(&mut watch, 0, minute * 60_000));
        assert!(watch.alerts(minute * 60_000).is_empty());
    }
}

#[test]
fn a_rise_that_failures_explain_needs_no_look() {
    let mut watch = Watch::new("jobs-dlq", HOUR, true);
    assert!(!is_due(&mut watch, 0, 0));
    for death in deaths(0..5) {
        assert!(watch.failed(death, 1_000));
    }
    assert!(!is_due(&mut watch, 3, 30_000), "two are on their way");
    assert!(!is_due(&mut watch, 5, 60_000));
    assert!(is_due(&mut watch, 6, 90_000), "another worker's");
    let mut seen = deaths(0..5);
    seen.push(death(77, "too late"));
    assert_eq!(look(&mut watch, seen, 91_000), [death(77, "too late")], "the others are counted already");
    let reasons: Vec<(u64, String)> =
        watch.alerts(91_000).into_iter().map(|alert| (alert.count, alert.reason)).collect();
    assert_eq!(reasons, [(5, "no user <n>".to_owned()), (1, "too late".to_owned())]);
}

#[test]
fn a_rise_that_other_workers_explain_in_time_needs_no_look() {
    let mut watch = Watch::new("jobs-dlq", HOUR, true).with_patience(30_000);
    watch.depth(0, 0);
    assert!(watch.depth(3, 30_000));
    assert!(!watch.is_look_due(30_000), "they have not said it yet");
    assert!(watch.failed_elsewhere(death(1, "no user 1"), 60_000));
    assert!(watch.depth(3, 60_000), "two are left");
    for id in 1..4 {
        watch.failed_elsewhere(death(id, "no user"), 60_000);
    }
    assert!(!watch.is_look_due(60_000));
    assert!(!watch.depth(3, 90_000));
    assert!(watch.depth(4, 120_000));
    assert!(watch.depth(4, 150_000));
    assert!(watch.is_look_due(150_000), "it is of no worker");
}

#[test]
fn a_failure_that_never_shows_explains_no_later_letter() {
    let mut watch = Watch::new("jobs-dlq", HOUR, true);
    watch.depth(0, 0);
    watch.failed(death(1, "no user 1"), 1_000);
    assert!(is_due(&mut watch, 1, 1_001 + EXPECTED_MS));
}

#[test]
fn a_look_is_due_once_a_minute_at_most() {
    let mut watch = Watch::new("jobs-dlq", HOUR, true);
    assert!(is_due(&mut watch, 1, 0));
    look(&mut watch, deaths(0..1), 0);
    assert!(!is_due(&mut watch, 9, 30_000));
    assert!(!is_due(&mut watch, 9, 59_999));
    assert!(is_due(&mut watch, 9, 60_000));
    look(&mut watch, Vec::new(), 60_000);
    assert!(!is_due(&mut watch, 9, 120_000), "what it did not find is not looked for again");
    assert!(!is_due(&mut watch, 2, 180_000), "a replay");
    assert!(is_due(&mut watch, 3, 240_000));
}

#[test]
fn a_known_fingerprint_is_reported_once_per_quiet_period() {
    let mut watch = Watch::new("jobs-dlq", HOUR, true);
    watch.depth(4, 0);
    look(&mut watch, deaths(0..4), 0);
    assert_eq!(counts(&watch.alerts(0)), [(4, true)]);
    for death in deaths(4..10) {
        watch.failed(death, 1_000);
    }
    assert!(watch.alerts(HOUR - 1).is_empty());
    let alerts = watch.alerts(HOUR);
    assert_eq!(counts(&alerts), [(6, false)]);
    assert_eq!((alerts[0].first_at_ms, alerts[0].depth), (1_000, Some(4)));
    assert!(watch.alerts(9 * HOUR).is_empty(), "nothing came");
}

#[test]
fn letters_from_before_the_watch_are_reported_only_on_request() {
    for (reports_old, expected) in [(true, vec![(2, true)]), (false, vec![])] {
        let mut watch = Watch::new("jobs-dlq", HOUR, reports_old);
        assert!(is_due(&mut watch, 2, 0));
        look(&mut watch, deaths(0..2), 0);
        assert_eq!(counts(&watch.alerts(0)), expected, "{reports_old}");
        watch.failed(death(7, "too late"), 1);
        assert_eq!(counts(&watch.alerts(1)), [(1, true)]);
    }
}

#[test]
fn the_first_look_at_letters_that_came_later_is_news() {
    let mut watch = Watch::new("jobs-dlq", HOUR, false);
    watch.depth(0, 0);
    assert!(is_due(&mut watch, 1, 1_000));
    look(&mut watch, deaths(0..1), 1_000);
    assert_eq!(counts(&watch.alerts(1_000)), [(1, true)]);
}

#[test]
fn many_new_fingerprints_share_an_alert() {
    let mut watch = Watch::new("jobs-dlq", HOUR, true);
    let words = |id: u128| format!("no {}", "a".repeat(usize::try_from(id).unwrap_or_default() + 1));
    for id in 0..15 {
        watch.failed(death(id, &words(id)), 0);
    }
    watch.failed(death(99, &words(14)), 0);
    let alerts = watch.alerts(0);
    assert_eq!((alerts.len(), alerts[0].count), (MAX_ALERTS + 1, 2));
    let others = Others { fingerprints: 4, letters: 4 };
    assert_eq!((alerts[MAX_ALERTS].others, alerts[0].others), (others, Others::default()));
    // A storm, with a new letter at each turn.
    let (mut sent, mut counted) = (0, 0);
    for turn in 1..=120 {
        let reason = format!("it is {}", "b".repeat(usize::try_from(turn).unwrap()));
        watch.failed(death(1_000 + u128::from(turn), &reason), turn * 30_000);
        for alert in watch.alerts(turn * 30_000) {
            sent += 1;
            counted += alert.count + alert.others.letters;
        }
    }
    assert!(sent <= 16, "{sent}");
    assert!(counted >= 100, "{counted}");
}

#[test]
fn deaths_beyond_the_fingerprints_that_fit_are_counted() {
    let mut watch = Watch::new("jobs-dlq", HOUR, true);
    for id in 0..700_u128 {
        let letters = |n: u128| char::from(b'a' + u8::try_from(n % 26).unwrap());
        let reason = format!("no {}{}", letters(id), letters(id / 26).to_string().repeat(3));
        watch.failed(death(id, &reason), 0);
    }
    let reported: u64 = watch.alerts(0).iter().map(|alert| alert.count + alert.others.letters).sum();
    assert_eq!(reported, 700);
}

#[test]
fn a_letter_says_where_and_why_it_died() {
    use drumline::message::{Attribute, Intake, Message};
    let mut message = Message {
        id: "m-2".into(),
        body: r#"{"type":"email.send","payload":{}}"#.to_owned(),
        dead_letter_source: Some("arn:aws:sqs:eu-west-1:123456789012:jobs".to_owned()),
        ..Message::default()
    };
    message.attributes.insert("DrumlineMessageId".to_owned(), Attribute::text("m-1"));
    message.attributes.insert("DrumlineReason".to_owned(), Attribute::text("no user 17"));
    let death = Death::of(&Letter::new(message, &Intake::default()));
    assert_eq!((death.message, death.origin.as_deref()), (LetterId::of("m-1"), Some("jobs")));
    assert_eq!((death.job_type.as_deref(), &*death.reason), (Some("email.send"), "no user 17"));
}

proptest! {
    /// Every death is in exactly one alert, if all fingerprints are reported at the end.
    #[test]
    fn every_death_is_reported_once(
        steps in proptest::collection::vec((0_u128..60, 0_usize..8, any::<bool>(), 0_u64..90_000), 0..120)
    ) {
        let mut watch = Watch::new("jobs-dlq", HOUR, true);
        let (mut now, mut reported) = (0, 0);
        let mut ids = std::collections::HashSet::new();
        for (id, reason, is_letter, pause) in steps {
            now += pause;
            ids.insert(id);
            let death = death(id, ["a", "b", "c", "d", "e", "f", "g", "h"][reason]);
            if is_letter {
                watch.depth(ids.len() as u64, now);
                look(&mut watch, vec![death], now);
            } else {
                watch.failed(death, now);
            }
            reported += watch.alerts(now).iter().map(|alert| alert.count).sum::<u64>();
        }
        reported += watch.alerts(now + 2 * HOUR).iter().map(|alert| alert.count).sum::<u64>();
        prop_assert_eq!(reported, ids.len() as u64);
    }
}
