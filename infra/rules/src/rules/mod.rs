//! The rules, by group. A rule's ID, title, reason and fix are written only here; `RULES.md` is generated from them.

mod alarms;
mod containers;
mod dashboard;
mod ecs;
mod grants;
mod hygiene;
mod intake;
mod lambda;
mod parameters;
mod payload_buckets;
mod policies;
mod queues;
mod redrive;
mod roles;
mod scaling;
mod secrets;
mod sidecars;
mod store;
mod tracking;
mod worker_alarms;

use crate::rule::Rule;

/// Returns all rules, in the order of groups.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    let groups: &'static [&'static [Rule]] = &[
        &queues::RULES,
        &redrive::RULES,
        &store::RULES,
        &payload_buckets::RULES,
        &policies::RULES,
        &roles::RULES,
        &grants::RULES,
        &lambda::RULES,
        &ecs::RULES,
        &containers::RULES,
        &secrets::RULES,
        &sidecars::RULES,
        &scaling::RULES,
        &tracking::RULES,
        &alarms::RULES,
        &worker_alarms::RULES,
        &dashboard::RULES,
        &intake::RULES,
        &hygiene::RULES,
        &parameters::RULES,
    ];
    groups.iter().copied().flatten()
}
