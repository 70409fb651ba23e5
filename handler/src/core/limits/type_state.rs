//! The state of one job type: what runs, and what may start.

use std::sync::Arc;
use std::time::Instant;

use super::half_open::ProbeOf;
use super::job_class::JobClass;
use super::operator::TypeOrders;
use super::rate::RateState;
use super::rules::{JobKind, TypeRules};
use super::snapshot::TypeSnapshot;
use super::wait::{LimitReason, LimitWait};
use crate::core::ending::Ending;
use crate::core::retry::Jitter;

/// The state of one job type. All that decides about it is asked in the order of [`LimitReason`]; the rate last, since it takes a token.
#[derive(Debug)]
pub(super) struct TypeState {
    /// Those that hold: an operator's orders over the rules of the settings.
    rules: TypeRules,
    orders: TypeOrders,
    running: usize,
    rate: Option<RateState>,
    throttle: Throttle,
}

/// The closings of its type of which a run is the probe.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Probes {
    throttle: Option<ProbeOf>,
}

impl TypeState {
    pub(super) fn new(rules: TypeRules) -> Self {
        let rate = rules.rate.as_ref().map(RateState::new);
        Self { rules, orders: TypeOrders::default(), running: 0, rate }
    }

    /// Has an operator's orders hold over these rules of the settings.
    pub(super) fn set_orders(&mut self, rules: &TypeRules, orders: TypeOrders) {
        self.orders = orders;
        self.set_rules(rules);
    }

    /// Has the orders hold over these rules of the settings. What counts its past keeps counting unless its own rule has changed.
    pub(super) fn set_rules(&mut self, rules: &TypeRules) {
        let rules = self.orders.over(rules);
        if rules.rate != self.rules.rate {
            self.rate = rules.rate.as_ref().map(RateState::new);
        }
        self.rules = rules;
    }

    pub(super) fn orders(&self) -> &TypeOrders {
        &self.orders
    }

    pub(super) fn rules(&self) -> &TypeRules {
        &self.rules
    }

    pub(super) fn is_cpu(&self) -> bool {
        self.rules.kind == JobKind::Cpu
    }

    /// Takes what a job of the class needs, or returns what it waits for. `has_core` is true if a core is free.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        class: &JobClass,
        has_core: bool,
    ) -> Result<Probes, LimitWait> {
        let wait = |reason| Err(LimitWait { reason, until: None });
        // First, since nothing else ends this wait.
        if self.orders.is_paused {
            return wait(LimitReason::Operator);
        }
        if self.rules.concurrency.is_some_and(|most| self.running >= most.get()) {
            return wait(LimitReason::Concurrency);
        }
        if self.is_cpu() && !has_core {
            return wait(LimitReason::Cpu);
        }
        self.throttle.check(now).map_err(wait_until(LimitReason::Throttled))?;
        if let Some(rate) = &mut self.rate
            && let Err(until) = rate.take(now, class.key.as_ref())
        {
            return Err(LimitWait { reason: LimitReason::Rate, until });
        }
        self.running += 1;
        Ok(Probes { throttle: self.throttle.start() })
    }

    /// Returns what runs now, and what may start. The closed limits are those that a throttle, a breaker or an operator holds.
    pub(super) fn snapshot(&self, now: Instant, job_type: &Arc<str>) -> TypeSnapshot {
        TypeSnapshot {
            job_type: Arc::clone(job_type),
            running: self.running,
            slots: self.rules.concurrency,
            kind: self.rules.kind,
            rate: self.rate.as_ref().map(|rate| rate.snapshot(now)),
            ..TypeSnapshot::default()
        }
    }

    pub(super) fn release(&mut self) {
        self.running = self.running.saturating_sub(1);
        self.throttle.free(probes.throttle);
    }

    /// Returns the time before which no job starts for a throttle; `None` if there is none.
    pub(super) fn throttled_until(&self) -> Option<Instant> {
        self.throttle.half_open().until()
    }

    /// Returns true if nothing would change without this state.
    pub(super) fn is_idle(&self) -> bool {
        self.rules == TypeRules::default() && self.running == 0 && self.throttle.half_open().until().is_none()
    }
}
