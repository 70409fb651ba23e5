//! The state of one job type: the running jobs, and those that may start.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::breaker::Breaker;
use super::half_open::{HalfOpen, ProbeOf};
use super::job_class::JobClass;
use super::limit_reason::LimitReason;
use super::operator::TypeOrders;
use super::rate::RateState;
use super::rules::{JobKind, TypeRules};
use super::run_times::RunTimes;
use super::snapshot::{ClosedLimit, TypeSnapshot};
use super::throttle::Throttle;
use super::wait::LimitWait;
use crate::core::ending::Ending;
use crate::core::retry::Jitter;

/// A type that is half-open for this long has no jobs any more.
const UNPROBED: Duration = Duration::from_secs(600);

/// The state of one job type. All parts of a decision are checked in the order of [`LimitReason`], and the rate last, because
/// it takes a token.
#[derive(Debug)]
pub(super) struct TypeState {
    /// The effective rules: an operator's orders over the rules of the settings.
    rules: TypeRules,
    orders: TypeOrders,
    running: usize,
    shares_rate: bool,
    rate: Option<RateState>,
    throttle: Throttle,
    breaker: Option<Breaker>,
    run_times: RunTimes,
}

/// The closings of its type for which a run is the probe.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Probes {
    throttle: Option<ProbeOf>,
    breaker: Option<ProbeOf>,
}

impl TypeState {
    pub(super) fn new(rules: TypeRules, shares_rate: bool) -> Self {
        let rate = rules.rate.as_ref().map(|rate| RateState::new(rate, shares_rate));
        let breaker = rules.breaker.as_ref().map(Breaker::new);
        Self {
            rules,
            orders: TypeOrders::default(),
            running: 0,
            shares_rate,
            rate,
            throttle: Throttle::default(),
            breaker,
            run_times: RunTimes::default(),
        }
    }

    /// Has the tokens of its rate leased, and those of a later rate too.
    pub(super) fn share_rate(&mut self) {
        self.shares_rate = true;
        if let Some(rate) = &mut self.rate {
            rate.share();
        }
    }

    /// Sets an operator's orders over these rules of the settings.
    pub(super) fn set_orders(&mut self, rules: &TypeRules, orders: TypeOrders) {
        self.orders = orders;
        self.set_rules(rules);
    }

    /// Applies the orders over these rules of the settings. The counts of the past remain, unless their rule has changed.
    pub(super) fn set_rules(&mut self, rules: &TypeRules) {
        let rules = self.orders.over(rules);
        if rules.rate != self.rules.rate {
            self.rate = rules.rate.as_ref().map(|rate| RateState::new(rate, self.shares_rate));
        }
        if rules.breaker != self.rules.breaker {
            self.breaker = rules.breaker.as_ref().map(Breaker::new);
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

    /// Takes the needs of a job of the class, or returns its wait. `has_core` is true if a core is free; `tenant` is the wait
    /// of its tenant.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        class: &JobClass,
        has_core: bool,
        tenant: Result<(), LimitWait>,
    ) -> Result<Probes, LimitWait> {
        let wait = |reason| Err(LimitWait { reason, until: None });
        let wait_until = |reason| move |until| LimitWait { reason, until };
        // First, because only an operator ends this wait.
        if self.orders.is_paused {
            return wait(LimitReason::Operator);
        }
        if self.rules.concurrency.is_some_and(|most| self.running >= most.get()) {
            return wait(LimitReason::Concurrency);
        }
        if self.is_cpu() && !has_core {
            return wait(LimitReason::Cpu);
        }
        self.throttle.half_open().check(now).map_err(wait_until(LimitReason::Throttled))?;
        if let Some(breaker) = &self.breaker {
            breaker.half_open().check(now).map_err(wait_until(LimitReason::Breaker))?;
        }
        tenant?;
        if let Some(rate) = &mut self.rate {
            rate.take(now, class)?;
        }
        self.running += 1;
        Ok(Probes {
            throttle: self.throttle.half_open_mut().start(),
            breaker: self.breaker.as_mut().and_then(|breaker| breaker.half_open_mut().start()),
        })
    }

    /// Takes the ending of a run: it may close the type, or open it.
    pub(super) fn ended(&mut self, now: Instant, ending: &Ending, probes: Probes, jitter: Jitter) {
        self.throttle.ended(now, ending, probes.throttle, jitter);
        if let Some(breaker) = &mut self.breaker {
            breaker.ended(now, ending, probes.breaker, jitter);
        }
    }

    /// The limit for which queues take turns.
    pub(super) fn shared_limit(&self) -> LimitReason {
        match (&self.rules.concurrency, &self.rules.rate) {
            _ if self.is_cpu() => LimitReason::Cpu,
            (None, Some(_)) => LimitReason::Rate,
            _ => LimitReason::Concurrency,
        }
    }

    /// Adds a run that took this long.
    pub(super) fn ran(&mut self, took: Duration) {
        self.run_times.add(took);
    }

    /// The time between the starts of two jobs of one class while jobs wait, in a process that may use this number of cores.
    pub(super) fn interval(&self, cores: NonZeroUsize) -> Duration {
        let rate = self.rules.rate.as_ref().map(|rate| rate.rate.interval());
        let at_once = self.rules.concurrency.into_iter().chain(self.is_cpu().then_some(cores)).min();
        let by_runs = |at_once: usize| self.run_times.mean() / u32::try_from(at_once).unwrap_or(u32::MAX);
        match (rate, at_once) {
            (Some(rate), None) => rate,
            (Some(rate), Some(at_once)) => rate.max(by_runs(at_once.get())),
            (None, Some(at_once)) => by_runs(at_once.get()),
            // For example a tenant's share: one after the other is the longest case.
            (None, None) => by_runs(1),
        }
    }

    /// Returns the running jobs, and those that may start. The closed limits are those of a throttle, a breaker or an operator.
    pub(super) fn snapshot(&self, now: Instant, job_type: &Arc<str>) -> TypeSnapshot {
        TypeSnapshot {
            job_type: Arc::clone(job_type),
            running: self.running,
            slots: self.rules.concurrency,
            kind: self.rules.kind,
            rate: self.rate.as_ref().map(|rate| rate.snapshot(now)),
            closed: self.closed(),
            ..TypeSnapshot::default()
        }
    }

    pub(super) fn rate(&self) -> Option<&RateState> {
        self.rate.as_ref()
    }

    pub(super) fn rate_mut(&mut self) -> Option<&mut RateState> {
        self.rate.as_mut()
    }

    /// The limits of this type that are closed, half-open or not.
    fn closed(&self) -> Vec<ClosedLimit> {
        let closed = |reason, half_open: &HalfOpen| {
            let (since, why) = half_open.since()?;
            Some(ClosedLimit { reason, since, until: half_open.until(), why: Some(why) })
        };
        let throttle = closed(LimitReason::Throttled, self.throttle.half_open());
        let breaker =
            self.breaker.as_ref().and_then(|breaker| closed(LimitReason::Breaker, breaker.half_open()));
        throttle.into_iter().chain(breaker).collect()
    }

    pub(super) fn release(&mut self, probes: Probes) {
        self.running = self.running.saturating_sub(1);
        self.throttle.half_open_mut().free(probes.throttle);
        if let Some(breaker) = &mut self.breaker {
            breaker.half_open_mut().free(probes.breaker);
        }
    }

    /// Returns the time before which no job starts because of a throttle; `None` if there is none.
    pub(super) fn throttled_until(&self) -> Option<Instant> {
        self.throttle.half_open().until()
    }

    /// Returns true if little would change without this state: it has no rules, none of its jobs run, and it is open, or has
    /// had no probe for a long time.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.rules == TypeRules::default()
            && self.orders == TypeOrders::default()
            && self.running == 0
            && self.throttle.half_open().until().is_none_or(|until| until + UNPROBED < now)
    }

    /// Returns the average run time of its jobs.
    pub(super) fn run_time(&self) -> Duration {
        self.run_times.mean()
    }
}
