//! The scenarios.

use std::time::Duration;

use drumline::core::{Priority, SlotRules};

use super::load::{Arrivals, Load, Scenario};

const JOB: Duration = Duration::from_millis(100);
const LASTS: Duration = Duration::from_secs(300);
const SLOTS: usize = 32;

/// Returns all scenarios.
pub(super) fn all() -> Vec<Scenario> {
    vec![saturated(), few_slots(), bursty(), idle(), long_jobs(), late(false), late(true), critical()]
}

fn scenario(name: &'static str, loads: Vec<Load>) -> Scenario {
    Scenario { name, slots: SLOTS, lasts: LASTS, loads }
}

fn endless(name: &'static str, weight: u32) -> Load {
    Load::new(name, weight, Arrivals::Endless, JOB)
}

/// Every queue has more messages than can be processed.
pub(super) fn saturated() -> Scenario {
    scenario("saturated", vec![endless("heavy", 5), endless("middle", 3), endless("light", 1)])
}

/// The same, with so few slots that the light queue's share is less than one.
pub(super) fn few_slots() -> Scenario {
    Scenario { name: "saturated, 4 slots", slots: 4, ..saturated() }
}

/// The heavy queue has bursts of more than six seconds' work, every 15 s; the others have less than their share.
pub(super) fn bursty() -> Scenario {
    let burst =
        Arrivals::Bursts { first: Duration::from_secs(5), every: Duration::from_secs(15), count: 2_000 };
    scenario(
        "bursty",
        vec![
            Load::new("heavy", 5, burst, JOB),
            Load::new("middle", 3, Arrivals::every(Duration::from_millis(20)), JOB),
            Load::new("light", 1, Arrivals::every(Duration::from_millis(200)), JOB),
        ],
    )
}

/// The light queue has one message in five seconds.
pub(super) fn idle() -> Scenario {
    let light = Load::new("light", 1, Arrivals::every(Duration::from_secs(5)), JOB);
    scenario("idle light queue", vec![endless("heavy", 5), endless("middle", 3), light])
}

/// The jobs of the light queue take sixty times as long.
pub(super) fn long_jobs() -> Scenario {
    let light = Load { job: 60 * JOB, ..endless("light", 1) };
    scenario("long jobs in the light queue", vec![endless("heavy", 5), endless("middle", 3), light])
}

/// The light queue gets work for 85 seconds of its share at once.
pub(super) fn late(with_max_age: bool) -> Scenario {
    let light = Load::new("light", 1, Arrivals::once(Duration::from_secs(30), 3_000), JOB);
    let max_age = with_max_age.then_some(Duration::from_secs(10));
    let light = Load { rules: SlotRules { max_age, ..light.rules }, ..light };
    let name = if with_max_age { "late light queue, max_age = 10s" } else { "late light queue" };
    scenario(name, vec![endless("heavy", 5), endless("middle", 3), light])
}

/// The light queue is critical, and has a burst of fifty messages every ten seconds.
pub(super) fn critical() -> Scenario {
    let burst = Arrivals::Bursts { first: Duration::from_secs(5), every: Duration::from_secs(10), count: 50 };
    let light = Load::new("light", 1, burst, JOB);
    let light = Load { rules: SlotRules { priority: Priority::Critical, ..light.rules }, ..light };
    scenario("critical light queue", vec![endless("heavy", 5), endless("middle", 3), light])
}
