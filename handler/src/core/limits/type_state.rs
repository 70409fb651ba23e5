//! The state of one job type: what runs, and what may start.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use super::half_open::ProbeOf;
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

/// A type that is half-open for so long has no jobs any more.
const UNPROBED: Duration = Duration::from_secs(600);

/// The state of one job type. All that decides about it is asked in the order of [`LimitReason`]; the rate last, since it takes a token.
#[derive(Debug)]
pub(super) struct TypeState {
    /// Those that hold: an operator's orders over the rules of the settings.
    rules: TypeRules,
    orders: TypeOrders,
    running: usize,
    rate: Option<RateState>,
    run_times: RunTimes,
}

impl TypeState {
    pub(super) fn new(rules: TypeRules) -> Self {
        let rate = rules.rate.as_ref().map(RateState::new);
        Self { rules, running: 0, rate, run_times: RunTimes::default() }
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

    /// The limit for which queues take turns.
    pub(super) fn shared_limit(&self) -> LimitReason {
        match (&self.rules.concurrency, &self.rules.rate) {
            _ if self.is_cpu() => LimitReason::Cpu,
            (None, Some(_)) => LimitReason::Rate,
            _ => LimitReason::Concurrency,
        }
    }

    /// A run has ended that took so long.
    pub(super) fn ran(&mut self, took: Duration) {
        self.run_times.add(took);
    }

    /// The time between the starts of two jobs of one class while jobs wait, in a process that may use so many cores.
    pub(super) fn interval(&self, cores: NonZeroUsize) -> Duration {
        let rate = self.rules.rate.as_ref().map(|rate| rate.rate.interval());
        let at_once = self.rules.concurrency.into_iter().chain(self.is_cpu().then_some(cores)).min();
        let by_runs = |at_once: usize| self.run_times.mean() / u32::try_from(at_once).unwrap_or(u32::MAX);
        match (rate, at_once) {
            (Some(rate), None) => rate,
            (Some(rate), Some(at_once)) => rate.max(by_runs(at_once.get())),
            (None, Some(at_once)) => by_runs(at_once.get()),
            // Such as a tenant's share: one after the other is the longest that it can take.
            (None, None) => by_runs(1),
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

    /// Returns true if little would change without this state: it has no rules, nothing of it runs, and it is open, or no probe has come
    /// for long.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.rules == TypeRules::default()
            && self.orders == TypeOrders::default()
            && self.running == 0
            && self.throttle.half_open().until().is_none_or(|until| until + UNPROBED < now)
    }

    /// How long its jobs run, on the average.
    pub(super) fn run_time(&self) -> Duration {
        self.run_times.mean()
    }
}
