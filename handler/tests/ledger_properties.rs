//! Properties of the ledger: random scripts on virtual time, against a naive model of SQS and naive counting.
//!
//! [`watch`] and [`host`] check the properties that hold at every moment; this file checks those that hold at the end.
#![allow(clippy::unwrap_used)]

#[path = "ledger_properties/host.rs"]
mod host;
#[path = "ledger_properties/killers.rs"]
mod killers;
#[path = "ledger_properties/limited_queue.rs"]
mod limited_queue;
#[path = "ledger_properties/rival.rs"]
mod rival;
#[path = "ledger_properties/script.rs"]
mod script;
#[path = "ledger_properties/sqs.rs"]
mod sqs;
#[path = "ledger_properties/store.rs"]
mod store;
#[path = "ledger_properties/watch.rs"]
mod watch;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use drumline::core::{CrashEvidence, DeadLetterPath};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use host::{Host, LAST_SECONDS, some_instant};
use script::{Setting, Step, script, setting};
use sqs::Place;

/// The cases of each property: 24,000 scripts in total, in a minute of one core.
const CASES: u32 = 4_000;

/// The scripts of which at least ten must lead to each possible event.
const SCRIPTS: usize = 4_000;

const LONGEST_SCRIPT: usize = 120;

/// The rounds in which everything must end once no call fails. Most scripts need fewer than 30; if a lease of twelve hours or
/// two has to expire first, the rounds are spent on empty receives of 35 s each.
const ROUNDS: usize = 8_000;

fn scripts() -> impl Strategy<Value = Vec<Step>> {
    script(LONGEST_SCRIPT)
}

/// From here on every call succeeds, until every message has reached its end.
fn all_goes_well(host: &mut Host, setting: &Setting) {
    host.loses_rival();
    host.resume_all();
    for _ in 0..ROUNDS {
        let busy = host.obliges();
        let in_queue = |index: &usize| host.sqs.messages[*index].place == Place::Queue;
        if host.ledger.in_hand() == 0
            && host.message_here().filter(in_queue).all(|index| stays(host, setting, index))
        {
            return;
        }
        if !busy {
            // With nothing in hand, only SQS can cause an event.
            let timeout = host.ledger.timeout().filter(|_| host.ledger.in_hand() > 0);
            let next = [host.sqs.next_visible(host.now), timeout].into_iter().flatten().min();
            let next = next.map_or(Duration::from_secs(20), |at| at.saturating_duration_since(host.now));
            host.wait(next.max(Duration::from_millis(1)));
        }
    }
    panic!("messages are still in the queue");
}

/// Returns true if a message must stay: without a DLQ, one that failed permanently stays in the queue, before its message
/// group.
fn stays(host: &Host, setting: &Setting, index: usize) -> bool {
    let failed_permanently = &host.watch.failed_permanently;
    let blocks = |other: usize| {
        setting.fifo && failed_permanently.contains(&other) && host.sqs.is_before(other, index)
    };
    setting.dead_letter == DeadLetterPath::Nowhere
        && (failed_permanently.contains(&index) || (0..index).any(blocks))
}

/// Checks that every message that left had a reason.
fn nothing_is_lost(host: &Host, setting: &Setting) {
    for index in host.message_here() {
        match host.sqs.messages[index].place {
            Place::Deleted => {
                assert!(
                    host.watch.done.contains(&index)
                        || host.watch.moved.contains(&index)
                        || host.watch.gone.contains(&index),
                    "m{index} is lost"
                );
            }
            Place::DeadLetterQueue => assert_eq!(setting.dead_letter, DeadLetterPath::Redrive),
            Place::Queue => assert!(stays(host, setting, index)),
        }
    }
}

fn comes_to_a_good_end(setting: &Setting, script: &[Step]) {
    let mut host = Host::new(setting);
    host.play(script);
    all_goes_well(&mut host, setting);
    nothing_is_lost(&host, setting);
}

fn drains_in_time(setting: &Setting, before: &[Step], grace: Duration, after: &[Step]) {
    let mut host = Host::new(setting);
    host.play(before);
    let begun = host.now;
    host.drain(grace);
    // Deaths of the next process are a separate property.
    host.play(&after.iter().copied().filter(|step| !matches!(step, Step::Die)).collect::<Vec<_>>());
    // A second drain changes nothing.
    host.drain(grace * 100);
    host.wait((begun + grace + LAST_SECONDS).saturating_duration_since(host.now));
    let summary = host.drained().expect("the drain is over");
    assert_eq!(host.ledger.timeout(), None);
    assert_eq!(summary.abandoned, host.ledger.in_hand());
    assert_eq!(host.watch.unended(), host.watch.undecided, "every delivery has its outcome, or runs still");
    assert!(host.watch.unended() <= summary.abandoned);
    assert_eq!(host.watch.unfinished(), 0, "every outcome has its disposition by the end");
    host.restart(&setting.policy());
    all_goes_well(&mut host, setting);
}

/// SQS fails from the drain's beginning, and answers again before its end: the messages of done jobs are deleted, and the drain
/// has waited for that.
fn drains_settle_what_they_can(setting: &Setting, before: &[Step], outage: Duration) {
    let mut host = Host::new(setting);
    host.play(before);
    host.drain(outage + Duration::from_secs(10));
    let (begun, end) = (host.now, host.now + outage);
    let mut unconfirmed = HashSet::new();
    while host.now < end {
        unconfirmed.extend(host.fails_every_call(begun));
        host.wait(Duration::from_millis(100));
        if !unconfirmed.is_empty() {
            assert_eq!(host.drained(), None, "it ends before {unconfirmed:?} are deleted");
        }
    }
    for _ in 0..20 {
        host.obliges();
        host.wait(Duration::from_millis(100));
    }
    // A FIFO queue refuses a receipt whose lease has ended.
    assert!(setting.fifo || unconfirmed.iter().all(|id| host.watch.settled.contains(id)), "{unconfirmed:?}");
}

/// Two hosts play the same script, and one of them drops every note: all other effects are the same, and so are the fates of
/// the messages.
fn depends_on_no_note(setting: &Setting, script: &[Step], grace: Duration) {
    let now = some_instant();
    let play = |drops_notes| {
        let mut host = Host::at(now, setting);
        host.drops_notes = drops_notes;
        host.trace = Some(Vec::new());
        host.play(script);
        host.drain(grace);
        host.wait(grace + LAST_SECONDS);
        let slots: Vec<Place> = host.sqs.messages.iter().map(|message| message.place).collect();
        (host.trace, slots, host.ledger.drained())
    };
    assert_eq!(play(false), play(true));
}

fn leaks_no_place(setting: &Setting, script: &[Step]) {
    let mut host = Host::new(setting);
    host.play(script);
    host.loses_rival();
    host.resume_all();
    host.falls_silent();
    // Messages that waited start and end in turn; none holds its slot beyond its lease.
    let lease = setting.policy().lease;
    for _ in 0..100 {
        host.wait(lease);
        host.falls_silent();
        if host.ledger.in_hand() == 0 {
            break;
        }
    }
    assert_eq!(host.ledger.in_hand(), 0);
    if setting.shares_slots {
        assert_eq!(host.slots_in_use(), 0);
    } else {
        assert_eq!(host.ledger.demand(), setting.policy().concurrency.get());
    }
}

/// Properties prove little about events that no script leads to.
#[test]
fn the_scripts_lead_everywhere() {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeMap::<&str, usize>::new();
    for round in 0..SCRIPTS {
        let setting = setting(round % 2 == 0, false).new_tree(&mut runner).unwrap().current();
        let mut host = Host::new(&setting);
        host.play(&scripts().new_tree(&mut runner).unwrap().current());
        for name in &host.watch.seen {
            *seen.entry(name).or_default() += 1;
        }
    }
    let outcomes = ["ack", "retry", "dead_letter", "release", "lease_lost"];
    let calls = ["settled", "unsettled", "call failed", "done before", "moved", "no DLQ"];
    let leases =
        ["renewed", "not renewed", "lease lost", "received again", "isolated", "kept in hand", "stalled"];
    let receives = [
        "received",
        "received ahead",
        "received ahead in vain",
        "receive failed",
        "receive overdue",
        "empty at once",
    ];
    let claims =
        ["claim not renewed", "claim lost", "claim not released", "runs unclaimed", "gave up on its claim"];
    let marks = ["not marked", "result refused", "unmarked", "marked", "waits for a lock"];
    let pauses = ["paused", "resumed", "released by a pause", "probed"];
    let limits = ["held for a limit"];
    for name in [&outcomes[..], &calls, &leases, &receives, &claims, &marks, &pauses, &limits].concat() {
        let often = seen.get(name).copied().unwrap_or_default();
        assert!(often >= 10, "{name:?} is heard in {often} of {SCRIPTS} scripts only");
    }
}

/// The same for queues whose jobs are limited.
#[test]
fn limited_queues_lead_everywhere() {
    let mut runner = TestRunner::deterministic();
    let (mut held, mut returned, mut again) = (0, 0, 0);
    for _ in 0..SCRIPTS / 20 {
        let seen = limited_queue::goes_well(&limited_queue::scene().new_tree(&mut runner).unwrap().current());
        held += usize::from(seen.held > 0);
        returned += usize::from(seen.returned > 0);
        again += usize::from(seen.returned_again > 0);
    }
    assert!(held >= 100 && returned >= 50 && again >= 1, "{held} {returned} {again}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 2_000, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn standard_queues_come_to_a_good_end(setting in setting(false, false), script in scripts()) {
        comes_to_a_good_end(&setting, &script);
    }

    #[test]
    fn fifo_queues_come_to_a_good_end(setting in setting(true, false), script in scripts()) {
        comes_to_a_good_end(&setting, &script);
    }

    #[test]
    fn lambda_batches_come_to_a_good_end(
        setting in any::<bool>().prop_flat_map(|fifo| setting(fifo, true)),
        script in scripts(),
    ) {
        comes_to_a_good_end(&setting, &script);
    }

    #[test]
    fn drains_end_in_time_and_lose_nothing(
        setting in any::<(bool, bool)>().prop_flat_map(|(fifo, on_lambda)| setting(fifo, on_lambda)),
        before in scripts(),
        grace in 0..40_u64,
        after in script(LONGEST_SCRIPT / 4),
    ) {
        drains_in_time(&setting, &before, Duration::from_secs(grace), &after);
    }

    #[test]
    fn drains_go_on_until_what_is_done_is_deleted(
        setting in any::<bool>().prop_flat_map(|fifo| setting(fifo, false)),
        before in scripts(),
        outage in 0..40_u64,
    ) {
        drains_settle_what_they_can(&setting, &before, Duration::from_secs(outage));
    }

    #[test]
    fn results_do_not_depend_on_telemetry(
        setting in any::<(bool, bool)>().prop_flat_map(|(fifo, on_lambda)| setting(fifo, on_lambda)),
        script in scripts(),
        grace in 0..40_u64,
    ) {
        depends_on_no_note(&setting, &script, Duration::from_secs(grace));
    }

    /// However many neighbours a killer has, it ends in the DLQ without them.
    #[test]
    fn a_killer_dies_alone(scene in killers::scene()) {
        for evidence in [CrashEvidence::Store, CrashEvidence::Receives] {
            prop_assert_eq!(scene.healthy_dead(evidence), 0, "{:?}", evidence);
        }
    }

    #[test]
    fn silence_leaks_no_slot(
        setting in any::<(bool, bool)>().prop_flat_map(|(fifo, on_lambda)| setting(fifo, on_lambda)),
        script in scripts(),
    ) {
        leaks_no_place(&setting, &script);
    }
}

proptest! {
    // Each scene is a queue's whole life.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES / 4) })]

    #[test]
    fn limited_jobs_wait_in_order_and_for_few_receives(scene in limited_queue::scene()) {
        limited_queue::goes_well(&scene);
    }
}
