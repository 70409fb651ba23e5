//! The rules, by group. A rule's id, title, reason and mend are written here and nowhere else; `RULES.md` is made of them.

mod alarms;
mod containers;
mod dashboard;
mod ecs;
mod hygiene;
mod lambda;
mod parameters;
mod policies;
mod queues;
mod redrive;
mod roles;
mod scaling;
mod tracking;

use std::fmt;

use crate::check::Case;
use crate::finding::Report;

/// A rule.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its group's letter and its number in the group.
    pub id: &'static str,
    /// A template passes if this is so.
    pub title: &'static str,
    /// Why.
    pub reason: &'static str,
    /// What to do where it is not so.
    pub mend: &'static str,
    /// Whether it has to hold at each parameter's bounds too, one at a time, the others at their defaults.
    pub at_bounds: bool,
    pub(crate) check: fn(&Case<'_>, &mut Report<'_>),
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rule").field(&self.id).finish()
    }
}

/// All rules, in the order of groups.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    let groups: [&[Rule]; 13] = [
        &queues::RULES,
        &redrive::RULES,
        &policies::RULES,
        &roles::RULES,
        &lambda::RULES,
        &ecs::RULES,
        &containers::RULES,
        &scaling::RULES,
        &tracking::RULES,
        &alarms::RULES,
        &dashboard::RULES,
        &hygiene::RULES,
        &parameters::RULES,
    ];
    groups.into_iter().flatten()
}
