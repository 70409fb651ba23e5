//! A rule: its texts, and its check.

use std::fmt;

use crate::case::Case;
use crate::finding::Report;

/// A rule.
#[derive(Clone, Copy)]
pub struct Rule {
    /// The letter of its group and its number in the group.
    pub id: &'static str,
    /// The requirement that a template meets if it passes.
    pub title: &'static str,
    /// The reason for the requirement.
    pub reason: &'static str,
    /// The advice how to fix a violation.
    pub fix: &'static str,
    /// True if the rule also applies at each parameter's bounds, one at a time, with the others at their defaults. Every rule
    /// applies with each optional part.
    pub at_bounds: bool,
    pub(crate) check: fn(&Case<'_>, &mut Report<'_>),
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rule").field(&self.id).finish()
    }
}
