//! The state of one job type: what runs, and what may start.

use std::time::Instant;

use super::job_class::JobClass;
use super::rate::RateState;
use super::rules::{JobKind, TypeRules};
use super::wait::{LimitReason, LimitWait};

/// The state of one job type. All that decides about it is asked in the order of [`LimitReason`]; the rate last, since it takes a token.
#[derive(Debug)]
pub(super) struct TypeState {
    rules: TypeRules,
    running: usize,
    rate: Option<RateState>,
}

impl TypeState {
    pub(super) fn new(rules: TypeRules, shares_rate: bool) -> Self {
        let rate = rules.rate.as_ref().map(|rate| RateState::new(rate, shares_rate));
        Self { rules, running: 0, rate }
    }

    pub(super) fn rules(&self) -> &TypeRules {
        &self.rules
    }

    pub(super) fn is_cpu(&self) -> bool {
        self.rules.kind == JobKind::Cpu
    }

    /// Takes what a job of the class needs, or returns what it waits for. `has_core` is true if a core is free.
    pub(super) fn ask(&mut self, now: Instant, class: &JobClass, has_core: bool) -> Result<(), LimitWait> {
        let wait = |reason| Err(LimitWait { reason, until: None });
        if self.rules.concurrency.is_some_and(|most| self.running >= most.get()) {
            return wait(LimitReason::Concurrency);
        }
        if self.is_cpu() && !has_core {
            return wait(LimitReason::Cpu);
        }
        if let Some(rate) = &mut self.rate {
            rate.take(now, class)?;
        }
        self.running += 1;
        Ok(())
    }

    pub(super) fn rate(&self) -> Option<&RateState> {
        self.rate.as_ref()
    }

    pub(super) fn rate_mut(&mut self) -> Option<&mut RateState> {
        self.rate.as_mut()
    }

    pub(super) fn release(&mut self) {
        self.running = self.running.saturating_sub(1);
    }
}
