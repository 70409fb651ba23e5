//! The limits of a process, shared by its queues.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_listener::EventListener;
use serde_json::value::RawValue;

use super::job_class::JobClass;
use super::limit_reason::LimitReason;
use super::limited_classes::LimitedClasses;
use super::percent::Percent;
use super::permit::Permit;
use super::rate::RateState;
use super::returned::{AGAIN, Pace, ReturnedMessages};
use super::rules::{LimitRules, TypeRules};
use super::run_times::RunTimes;
use super::shared::{Shared, State, turns_of};
use super::snapshot::{ClosedLimit, TypeSnapshot};
use super::type_state::{Probes, TypeState};
use super::wait::LimitWait;
use crate::core::ending::Ending;
use crate::core::retry::Jitter;
use crate::message::sqs_message::Message;

/// The maximum number of types without rules that are closed at once. In forward mode every sender of a message chooses its
/// type.
const MAX_TYPES: usize = 1000;

/// The limits of a process, shared by its queues. Cloning gives another handle of the same limits.
///
/// ```
/// use std::num::NonZeroUsize;
/// use drumline::core::{JobClass, LimitRules, Limits, TypeRules};
///
/// # #[allow(clippy::disallowed_methods)]
/// let now = std::time::Instant::now();
/// let mut rules = LimitRules::none(NonZeroUsize::MIN);
/// rules.types.insert("mail".into(), TypeRules { concurrency: NonZeroUsize::new(1), ..TypeRules::default() });
/// let limits = Limits::new(rules);
/// let mail = JobClass::of_type("mail");
/// let first = limits.ask(now, &mail).unwrap();
/// assert!(limits.ask(now, &mail).is_err());
/// drop(first);
/// assert!(limits.ask(now, &mail).is_ok());
/// ```
#[derive(Clone)]
pub struct Limits(pub(super) Arc<Shared>, Arc<LimitedClasses>);

impl Limits {
    /// Makes limits with these rules.
    pub fn new(rules: LimitRules) -> Self {
        Self(Arc::new(Shared::new(rules)), Arc::default())
    }

    /// Returns a handle of the same limits for the ledger and the runs of one queue: its runs come after the messages that this
    /// ledger holds.
    pub fn for_queue(&self) -> Self {
        Self(Arc::clone(&self.0), Arc::default())
    }

    /// Limits each tenant of a queue, that is each message group of a standard queue, to a share of its slots, and to one at least.
    pub fn set_tenant_share(&self, queue: &Arc<str>, share: Percent, slots: NonZeroUsize) {
        self.state().tenants.set_share(queue, share, slots);
        self.0.rules_changed();
    }

    /// Returns true if any job is limited. Otherwise none needs a permit.
    pub fn is_limiting(&self) -> bool {
        self.0.is_limiting.load(Ordering::Relaxed)
    }

    /// Gives a job of a queue the permit to run, or keeps the permit for which it has waited, if that is still right. `None` if
    /// the job is not limited.
    ///
    /// # Errors
    /// If it has to wait.
    pub fn admit(
        &self,
        now: Instant,
        queue: &Arc<str>,
        job_type: &Arc<str>,
        message: &Message,
        payload: &RawValue,
        permit: Option<Permit>,
    ) -> Result<Option<Permit>, (JobClass, LimitWait)> {
        if !self.is_limiting() {
            return Ok(None);
        }
        // The message is the one that has waited, so if its type is the same, its key is too.
        if let Some(permit) = permit.filter(|permit| permit.class().job_type == *job_type) {
            return Ok(Some(permit));
        }
        let Some(class) = self.class(queue, job_type, message, payload) else {
            self.1.admitted(None);
            return Ok(None);
        };
        if let Some(wait) = self.1.held_before(&class) {
            return Err((class, wait));
        }
        match self.ask(now, &class) {
            Ok(permit) => {
                self.1.admitted(Some(&class));
                Ok(Some(permit))
            }
            Err(wait) => {
                self.1.refused(&class, wait);
                Err((class, wait))
            }
        }
    }

    /// Returns the class of a job; `None` if nothing limits it, and it needs no permit.
    fn class(
        &self,
        queue: &Arc<str>,
        job_type: &Arc<str>,
        message: &Message,
        payload: &RawValue,
    ) -> Option<JobClass> {
        let (tenant, rule) = {
            let state = self.state();
            let tenant = state.tenants.of_message(queue, message.group.as_deref());
            let of_type = state.types.get(job_type);
            if of_type.is_none() && tenant.is_none() {
                return None;
            }
            let rate = of_type.and_then(|of_type| of_type.rules().rate.as_ref());
            (tenant, rate.and_then(|rate| rate.key.clone()))
        };
        // A payload may be large, and other runs should not wait for it.
        let key = rule.and_then(|rule| rule.of(message, payload));
        Some(JobClass { job_type: Arc::clone(job_type), key, tenant })
    }

    /// Requests the permit to start a job of a class.
    ///
    /// # Errors
    /// If it has to wait.
    pub fn ask(&self, now: Instant, class: &JobClass) -> Result<Permit, LimitWait> {
        let mut state = self.state();
        let State { rules, types, on_cores, tenants, turns, .. } = &mut *state;
        let tenant = tenants.check(class.tenant.as_ref());
        let (mut has_core, mut probes) = (false, Probes::default());
        if let Some(of_type) = types.get_mut(&class.job_type) {
            let mut turns = if turns.is_empty() { None } else { turns.get_mut(&turns_of(class, of_type)) };
            if let Some(until) = turns.as_mut().and_then(|turns| turns.gives_way(now, &self.1)) {
                return Err(LimitWait { reason: of_type.shared_limit(), until: Some(until) });
            }
            let asked = of_type.ask(now, class, *on_cores < rules.cores.get(), tenant);
            if of_type.rate_mut().is_some_and(RateState::has_new_demand) {
                self.0.tokens_needed.notify(usize::MAX);
            }
            if let Some(turns) = turns {
                if asked.is_ok() { turns.granted(&self.1) } else { turns.changed() }
            }
            probes = asked?;
            has_core = of_type.is_cpu();
            *on_cores += usize::from(has_core);
        } else {
            tenant?;
        }
        tenants.take(class.tenant.as_ref());
        Ok(Permit::new(Arc::clone(&self.0), class.clone(), now, has_core, probes))
    }

    /// Returns the time until the turn of a job that has to wait, with this many of its class before it. An estimate, unless it
    /// waits only for its rate: jobs may run shorter or longer than those before them.
    pub fn delay(&self, now: Instant, class: &JobClass, wait: LimitWait, before: usize) -> Duration {
        let turn = self.pace(now, class, wait).turn(before);
        turn.map_or(Duration::MAX, |turn| turn.saturating_duration_since(now))
    }

    /// Records that a message is released to its queue after this many receives, and returns the time for which it is hidden.
    pub(crate) fn returns(
        &self,
        now: Instant,
        (class, wait): (&JobClass, LimitWait),
        before: usize,
        message_id: &Arc<str>,
        receives: u32,
    ) -> Duration {
        let pace = self.pace(now, class, wait);
        let delay = self.returned().add(now, class, pace, before, message_id, receives);
        self.0.has_returned.store(true, Ordering::Relaxed);
        delay
    }

    /// Returns the number of times that this process has returned a message, as far as it remembers. That many of its receives
    /// were not attempts.
    pub(crate) fn returns_of(&self, message_id: &str) -> u32 {
        if self.0.has_returned.load(Ordering::Relaxed) { self.returned().of(message_id) } else { 0 }
    }

    /// The time from which jobs of a class with this wait may start, and the time between two of them.
    fn pace(&self, now: Instant, class: &JobClass, wait: LimitWait) -> Pace {
        let state = self.state();
        let of_type = state.types.get(&class.job_type);
        let run_time = of_type.map_or_else(|| RunTimes::default().mean(), TypeState::run_time);
        let interval = match (wait.reason, &class.tenant) {
            (LimitReason::Tenant, Some(tenant)) => run_time / state.tenants.most(tenant),
            _ => of_type.map_or(run_time, |of_type| of_type.interval(state.rules.cores)),
        };
        // The time at which an operator resumes it is unknown.
        let unknown = if wait.reason == LimitReason::Operator { now + AGAIN } else { now };
        let from = wait.until.map_or(unknown, |until| until.max(now));
        // The token of that time is for the first one, whose turn is not an interval later.
        let is_exact = wait.reason == LimitReason::Rate && wait.until.is_some();
        let from = if is_exact { from.checked_sub(interval).unwrap_or(from) } else { from };
        Pace { from, interval }
    }

    /// A message of the class is held by the ledger of this handle.
    pub(crate) fn holds(&self, class: &JobClass, wait: LimitWait) {
        self.1.held(class, wait);
        let mut state = self.state();
        let State { types, turns, .. } = &mut *state;
        if let Some(of_type) = types.get(&class.job_type) {
            turns.entry(turns_of(class, of_type)).or_default().held(&self.1);
        }
    }

    /// The first held message of the class was refused again.
    pub(crate) fn held_refused(&self, class: &JobClass, wait: LimitWait) {
        self.1.refused(class, wait);
    }

    /// A message of the class is no longer held.
    pub(crate) fn held_left(&self, class: &JobClass) {
        self.1.left(class);
        // Both, because the kind of its type may have changed.
        let mut state = self.state();
        for key in [None, Some(Arc::clone(&class.job_type))] {
            if let Some(turns) = state.turns.get_mut(&key) {
                turns.left(&self.1);
                if turns.is_empty() {
                    state.turns.remove(&key);
                }
            }
        }
    }

    /// The jobs that were admitted at once with this handle: those of recently refused classes, and all others.
    pub(crate) fn admitted(&self) -> (u64, u64) {
        self.1.counts()
    }

    /// Returns the state of the limited types, in the order of their names.
    pub fn snapshot(&self, now: Instant) -> Vec<TypeSnapshot> {
        let state = self.state();
        let types = state.types.iter().map(|(name, of_type)| {
            let mut snapshot = of_type.snapshot(now, name);
            if of_type.orders().is_paused {
                snapshot.closed.push(ClosedLimit::by_operator(now));
            }
            (Arc::clone(name), snapshot)
        });
        let mut types: BTreeMap<_, _> = types.collect();
        state.waiting.add_to(&mut types);
        types.into_values().collect()
    }

    /// A class waits in one ledger. Returns true if it has not waited for a minute, in this ledger or any other.
    pub(super) fn wait_begins(&self, now: Instant, class: &JobClass, reason: LimitReason) -> bool {
        self.state().episodes.begins(now, class, reason)
    }

    /// One ledger has this many messages that wait for a limit, after `before`.
    pub(super) fn waiting_changed(
        &self,
        job_type: &Arc<str>,
        reason: LimitReason,
        before: usize,
        count: usize,
    ) {
        self.state().waiting.change(job_type, reason, before, count);
    }

    /// Completes once jobs are limited: by a rule, an order, or a throttled type. This does not end.
    pub async fn limiting(&self) {
        loop {
            // Before the check, so that no change is missed in between.
            let changed = self.changed();
            if self.0.is_limiting.load(Ordering::Relaxed) {
                return;
            }
            changed.await;
        }
    }

    /// Waits for a change after which a blocked job may start.
    pub fn changed(&self) -> EventListener {
        self.0.changed.listen()
    }

    /// The number of such changes so far.
    pub(crate) fn changes(&self) -> u64 {
        self.0.changed.count()
    }

    /// Takes the ending of a run without a permit, because its type was not limited when it started. A throttle closes the type
    /// at once; other endings change nothing.
    pub fn ended_without_permit(&self, now: Instant, job_type: &Arc<str>, ending: &Ending, jitter: Jitter) {
        if !matches!(ending, Ending::Throttled { .. }) {
            return;
        }
        let mut state = self.state();
        if !state.types.contains_key(job_type) {
            if state.types.len() >= MAX_TYPES {
                state.types.retain(|_, of_type| !of_type.is_idle(now));
            }
            if state.types.len() >= MAX_TYPES {
                return;
            }
            let of_type = TypeState::new(TypeRules::default(), state.shares_rates);
            state.types.insert(Arc::clone(job_type), of_type);
            self.0.rules_changed();
        }
        drop(state);
        self.0.ended(now, job_type, ending, Probes::default(), jitter);
    }

    /// Returns the time before which no job of a throttled type starts. `None` if its jobs start.
    pub fn throttled_until(&self, job_type: &str) -> Option<Instant> {
        self.state().types.get(job_type)?.throttled_until()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state()
    }

    fn returned(&self) -> MutexGuard<'_, ReturnedMessages> {
        self.0.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").field("rules", &self.state().rules).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test's own clock")]
    fn a_process_without_limits_is_limited_from_its_first_throttle() {
        let limits = Limits::new(LimitRules::none(NonZeroUsize::MIN));
        let mut limiting = Box::pin(limits.limiting());
        assert_eq!(limiting.as_mut().now_or_never(), None);
        let throttled = Ending::Throttled { after: None, reason: "429".into() };
        let (now, mail) = (Instant::now(), "mail".into());
        limits.ended_without_permit(now, &mail, &Ending::Done, Jitter::new(0));
        assert_eq!(limiting.as_mut().now_or_never(), None);
        limits.ended_without_permit(now, &mail, &throttled, Jitter::new(0));
        assert_eq!(limiting.as_mut().now_or_never(), Some(()));
        assert_eq!(limits.limiting().now_or_never(), Some(()), "that stays so");
    }
}
