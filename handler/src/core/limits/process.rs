//! The limits of a process, shared by its queues.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_listener::{Event, EventListener};
use serde_json::value::RawValue;

use super::job_class::JobClass;
use super::operator::TypeOrders;
use super::permit::Permit;
use super::rules::{LimitRules, RateKey};
use super::snapshot::{TypeSnapshot, Waiting};
use super::type_state::TypeState;
use super::wait::{LimitReason, LimitWait};
use crate::core::ending::Ending;
use crate::core::retry::Jitter;
use crate::message::sqs_message::Message;

/// The most types without rules that are closed at once. In forward mode anyone who sends a message names its type.
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
pub struct Limits(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Event,
    /// Tokens are needed that could be leased.
    tokens_needed: Event,
    /// Something may be limited: otherwise runs need not ask.
    is_limiting: AtomicBool,
}

struct State {
    rules: LimitRules,
    types: HashMap<Arc<str>, TypeState>,
    /// The jobs that need a core and run.
    on_cores: usize,
    waiting: Waiting,
}

impl Limits {
    /// Limits by these rules.
    pub fn new(rules: LimitRules) -> Self {
        let types = rules.types.iter();
        let types = types.map(|(name, rules)| (Arc::from(name.as_str()), TypeState::new(rules.clone())));
        let state = State { types: types.collect(), on_cores: 0, waiting: Waiting::default(), rules };
        let is_limiting = AtomicBool::new(!state.types.is_empty());
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            changed: Event::new(),
            tokens_needed: Event::new(),
            is_limiting,
        }))
    }

    /// Gives a job the permission to run, unless the one that it has waited for is still right. `None` if nothing limits it.
    ///
    /// # Errors
    /// If it has to wait.
    pub fn admit(
        &self,
        now: Instant,
        job_type: &Arc<str>,
        message: &Message,
        payload: &RawValue,
        permit: Option<Permit>,
    ) -> Result<Option<Permit>, (JobClass, LimitWait)> {
        if !self.0.is_limiting.load(Ordering::Relaxed) {
            return Ok(None);
        }
        // The message is the one that has waited, so its key is the same if its type is.
        if let Some(permit) = permit.filter(|permit| permit.class().job_type == *job_type) {
            return Ok(Some(permit));
        }
        let Some(class) = self.class(job_type, message, payload) else { return Ok(None) };
        self.ask(now, &class).map(Some).map_err(|wait| (class, wait))
    }

    /// Returns the class of a job; `None` if nothing limits it, and it needs no permit.
    fn class(&self, job_type: &Arc<str>, message: &Message, payload: &RawValue) -> Option<JobClass> {
        let rule = {
            let state = self.state();
            let rate = state.types.get(job_type)?.rules().rate.as_ref();
            rate.and_then(|rate| rate.key.clone())
        };
        // A payload may be large: other runs do not wait for it.
        let key = rule.and_then(|rule| rule.of(message, payload));
        Some(JobClass { job_type: Arc::clone(job_type), key, tenant: None })
    }

    /// Asks for the permission to start a job of a class.
    ///
    /// # Errors
    /// If it has to wait.
    pub fn ask(&self, now: Instant, class: &JobClass) -> Result<Permit, LimitWait> {
        let mut state = self.state();
        let State { rules, types, on_cores, .. } = &mut *state;
        if let Some(of_type) = types.get_mut(&class.job_type) {
            of_type.ask(now, class, *on_cores < rules.cores.get())?;
            has_core = of_type.is_cpu();
            *on_cores += usize::from(has_core);
        }
        Ok(Permit::new(self.clone(), class.clone(), has_core))
    }

    /// Returns the time for which a message is hidden that goes back to its queue, with so many of its class before it.
    pub fn delay(&self, _now: Instant, _class: &JobClass, _reason: LimitReason, _before: usize) -> Duration {
        Duration::from_secs(600)
    }

    /// Returns the state of the limited types, in the order of their names.
    pub fn snapshot(&self, now: Instant) -> Vec<TypeSnapshot> {
        let state = self.state();
        let types = state.types.iter();
        let mut types: BTreeMap<_, _> =
            types.map(|(name, of_type)| (Arc::clone(name), of_type.snapshot(now, name))).collect();
        state.waiting.add_to(&mut types);
        types.into_values().collect()
    }

    /// One ledger has so many messages waiting for a limit that had `before`.
    pub(super) fn waiting_changed(
        &self,
        job_type: &Arc<str>,
        reason: LimitReason,
        before: usize,
        count: usize,
    ) {
        self.state().waiting.change(job_type, reason, before, count);
    }

    /// Waits for a change by which a job may start that could not before.
    pub fn changed(&self) -> EventListener {
        self.0.changed.listen()
    }

    /// Takes the ending of a run without a permit: nothing limited its type when it started. A throttle closes the type at once;
    /// other endings change nothing.
    pub fn ended_without_permit(&self, now: Instant, job_type: &Arc<str>, ending: &Ending, jitter: Jitter) {
        if !matches!(ending, Ending::Throttled { .. }) {
            return;
        }
        let mut state = self.state();
        if !state.types.contains_key(job_type) {
            if state.types.len() >= MAX_TYPES {
                state.types.retain(|_, of_type| !of_type.is_idle());
            }
            if state.types.len() >= MAX_TYPES {
                return;
            }
            state.types.insert(Arc::clone(job_type), TypeState::new(TypeRules::default()));
            self.0.is_limiting.store(true, Ordering::Relaxed);
        }
        drop(state);
        self.ended(now, job_type, ending, Probes::default(), jitter);
    }

    /// Has an operator's orders hold for a type from now on, in place of those before. Jobs that run go on; those that began
    /// while nothing limited their type are not counted.
    pub fn set_orders(&self, job_type: &str, orders: TypeOrders) {
        let mut state = self.state();
        let State { rules, types, .. } = &mut *state;
        let rules = rules.types.get(job_type).cloned().unwrap_or_default();
        match types.get_mut(job_type) {
            Some(of_type) => of_type.set_orders(&rules, orders),
            None if orders == TypeOrders::default() => return,
            None => {
                let mut of_type = TypeState::new(rules.clone());
                of_type.set_orders(&rules, orders);
                types.insert(job_type.into(), of_type);
            }
        }
        drop(state);
        self.rules_changed();
    }

    /// Returns the orders that hold, in the order of the types' names.
    pub fn orders(&self) -> Vec<(Arc<str>, TypeOrders)> {
        let state = self.state();
        let orders = state.types.iter().map(|(name, of_type)| (Arc::clone(name), of_type.orders().clone()));
        let mut orders: Vec<_> = orders.filter(|(_, orders)| *orders != TypeOrders::default()).collect();
        orders.sort_by(|(one, _), (other, _)| one.cmp(other));
        orders
    }

    /// Replaces the rules of all types, as after a change of the settings. Orders stay as they are, and so does what runs.
    pub fn set_rules(&self, new: HashMap<String, TypeRules>) {
        let mut state = self.state();
        let State { rules, types, .. } = &mut *state;
        rules.types = new;
        for name in rules.types.keys().filter(|name| !types.contains_key(name.as_str())).collect::<Vec<_>>() {
            types.insert(name.as_str().into(), TypeState::new(TypeRules::default()));
        }
        for (name, of_type) in types.iter_mut() {
            of_type.set_rules(&rules.types.get(&**name).cloned().unwrap_or_default());
        }
        drop(state);
        self.rules_changed();
    }

    /// Runs ask from now on, and what is held asks again.
    fn rules_changed(&self) {
        self.0.is_limiting.store(true, Ordering::Relaxed);
        self.0.changed.notify(usize::MAX);
    }

    pub(super) fn release(&self, class: &JobClass, has_core: bool) {
        let mut state = self.state();
        let State { types, on_cores, .. } = &mut *state;
        *on_cores = on_cores.saturating_sub(usize::from(has_core));
        if let Some(of_type) = types.get_mut(&class.job_type) {
            of_type.release();
        }
        drop(state);
        self.0.changed.notify(usize::MAX);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").field("rules", &self.state().rules).finish_non_exhaustive()
    }
}
