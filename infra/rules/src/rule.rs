//! A rule: the words that explain it, and the check.

use std::fmt;

use crate::case::Case;
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
    pub fix: &'static str,
    /// True if it has to hold at each parameter's bounds too, one at a time, the others at their defaults. Every rule has to
    /// hold with each optional part.
    pub at_bounds: bool,
    pub(crate) check: fn(&Case<'_>, &mut Report<'_>),
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rule").field(&self.id).finish()
    }
}
