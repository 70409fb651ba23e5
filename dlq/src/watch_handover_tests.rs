#![allow(clippy::unwrap_used)]

use super::*;

const HOUR: u64 = 3_600_000;

fn deaths(ids: std::ops::Range<u128>, reason: &str) -> Vec<Death> {
    let death = |id| Death {
        message: LetterId::from(id),
        origin: None,
        job_type: None,
        class: None,
        reason: reason.to_owned(),
    };
    ids.map(death).collect()
}

fn worker() -> Watch {
    Watch::new("jobs-dlq", HOUR, false)
}

fn look(watch: &mut Watch, deaths: Vec<Death>, now: u64) -> usize {
    watch.looked(deaths.len(), deaths, now).len()
}

fn counts(alerts: &[Alert]) -> Vec<(u64, bool)> {
    alerts.iter().map(|alert| (alert.count, alert.is_new)).collect()
}

/// Returns the next leader, which knows the facts in the store.
fn next(watch: &Watch, undelivered: &[Alert], now: u64) -> Watch {
    let text = watch.handover(undelivered).unwrap().text(16_384);
    let mut next = worker();
    next.take_over(watch.known(undelivered), Some(serde_json::from_str(&text).unwrap()), now);
    next
}

#[test]
fn a_first_look_reports_and_counts_no_old_letter() {
    // Also with the reports of a leader of an older version, whose handover contains no depth.
    let mut watch = worker();
    watch.take_over([(Fingerprint::of_reason("known"), 1)].into(), None, 5);
    watch.depth(4, 5);
    assert!(watch.is_look_due(5), "at once, before more letters come");
    let mut old = deaths(0..2, "known");
    old.extend(deaths(2..4, "unknown"));
    assert_eq!(look(&mut watch, old, 5), 0);
    assert!(watch.alerts(5 + 2 * HOUR).is_empty());
    watch.depth(5, 5 + 2 * HOUR);
    assert_eq!(look(&mut watch, deaths(0..5, "unknown"), 5 + 2 * HOUR), 1);
    assert_eq!(counts(&watch.alerts(5 + 2 * HOUR)), [(1, false)]);
}

#[test]
fn a_handover_makes_old_letters_no_news() {
    let mut first = worker();
    first.depth(0, 0);
    first.depth(6, 1);
    look(&mut first, deaths(0..6, "late"), 1);
    assert_eq!(counts(&first.alerts(1)), [(6, true)]);
    let mut second = next(&first, &[], 3 * HOUR);
    assert!(!second.depth(6, 3 * HOUR) && !second.is_look_due(3 * HOUR));
    assert!(second.alerts(3 * HOUR).is_empty());
}

#[test]
fn letters_that_die_between_two_leaders_are_news() {
    let mut first = worker();
    first.depth(3, 0);
    look(&mut first, deaths(0..3, "old"), 0);
    let mut second = next(&first, &[], HOUR);
    second.depth(5, HOUR);
    assert!(second.is_look_due(HOUR));
    let mut all = deaths(0..3, "old");
    all.extend(deaths(3..5, "bad deploy"));
    assert_eq!(look(&mut second, all, HOUR), 2);
    assert_eq!(counts(&second.alerts(HOUR)), [(2, true)]);
}

#[test]
fn a_leader_without_a_look_hides_no_later_letter() {
    let mut first = worker();
    first.depth(3, 0);
    let mut second = next(&first, &[], 1);
    second.depth(4, 1);
    assert_eq!(look(&mut second, deaths(0..4, "x"), 1), 1, "one of them is new");
    let mut third = next(&first, &[], 1);
    third.depth(3, 1);
    assert!(third.is_look_due(1));
    assert_eq!(look(&mut third, deaths(0..3, "x"), 1), 0);
}

#[test]
fn deaths_that_are_not_reported_are_handed_over() {
    let mut first = worker();
    first.depth(0, 0);
    for death in deaths(0..2, "late") {
        first.failed(death, 1);
    }
    let undelivered = first.alerts(2);
    assert_eq!(counts(&undelivered), [(2, true)]);
    let mut second = next(&first, &undelivered, 3);
    assert_eq!(counts(&second.alerts(3)), [(2, true)], "its alert was not delivered");
    second.failed(deaths(7..8, "late").remove(0), 4);
    let mut third = next(&second, &[], 5);
    assert!(third.alerts(5).is_empty(), "it is quiet");
    let later = third.alerts(3 + HOUR);
    assert_eq!(counts(&later), [(1, false)]);
    let mut fourth = next(&third, &later, 3 + HOUR);
    assert_eq!(counts(&fourth.alerts(3 + HOUR)), [(1, false)]);
}

#[test]
fn a_leader_that_leads_again_counts_nothing_twice() {
    let mut first = worker();
    first.depth(0, 0);
    first.failed(deaths(0..1, "late").remove(0), 1);
    let handover = first.handover(&[]);
    first.take_over(BTreeMap::new(), handover, 2);
    assert_eq!(counts(&first.alerts(2)), [(1, true)]);
}

#[test]
fn a_handover_fits_and_new_fields_are_optional() {
    let pending = Pending { reason: "x".repeat(200), count: 1, ..Pending::default() };
    let handover = Handover { pending: vec![pending; 400], ..Handover::default() };
    let text = handover.text(16_384);
    assert!(text.len() <= 16_384 && text.len() > 8_000, "{}", text.len());
    let read: Handover = serde_json::from_str(r#"{"depth":3,"later":true}"#).unwrap();
    assert_eq!(read, Handover { depth: 3, ..Handover::default() });
}

#[test]
fn a_rise_among_unknown_letters_counts_as_its_own_number() {
    let mut watch = worker();
    watch.depth(2_000, 0);
    assert_eq!(look(&mut watch, deaths(0..500, "old"), 0), 0);
    watch.depth(2_001, HOUR);
    let mut seen = deaths(400..800, "old");
    seen.extend(deaths(9_000..9_001, "brand new cause"));
    seen.extend(deaths(800..899, "old"));
    assert_eq!(look(&mut watch, seen, HOUR), 1);
    let alerts = watch.alerts(3 * HOUR);
    assert_eq!((alerts.len(), &*alerts[0].reason), (1, "brand new cause"));
    assert!(alerts[0].is_new && alerts[0].is_sample);
}

#[test]
fn a_look_continues_until_it_has_what_is_unexplained() {
    use drumline::message::Message;
    let message = |id: u128| Message { id: format!("m-{id}").into(), ..Message::default() };
    let mut watch = worker();
    watch.depth(0, 0);
    let known = (0..20)
        .map(|id| Death { message: LetterId::of(&format!("m-{id}")), ..deaths(0..1, "known").remove(0) });
    for death in known {
        watch.failed(death, 1);
    }
    watch.depth(22, 1);
    let mut wanted = watch.wanted();
    assert!(wanted.wants_more(&(0..10).map(message).collect::<Vec<_>>()));
    assert!(wanted.wants_more(&(15..21).map(message).collect::<Vec<_>>()));
    assert!(wanted.wants_more(&[message(20)]), "twice the same");
    assert!(!wanted.wants_more(&[message(77)]));
}

#[test]
fn a_look_that_fails_is_made_again_after_a_pause() {
    let mut watch = Watch::new("jobs-dlq", HOUR, true);
    watch.depth(1, 0);
    watch.look_failed(0);
    watch.depth(1, 1_000);
    assert!(!watch.is_look_due(1_000));
    watch.depth(1, LOOK_PAUSE_MS);
    assert!(watch.is_look_due(LOOK_PAUSE_MS));
    assert!(watch.skip_look() && !watch.depth(1, LOOK_PAUSE_MS));
}
