//! The state of the limits of a process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_listener::Event;

use super::changes::Changes;
use super::episodes::Episodes;
use super::job_class::JobClass;
use super::queue_turns::QueueTurns;
use super::returned::ReturnedMessages;
use super::rules::LimitRules;
use super::snapshot::Waiting;
use super::tenants::Tenants;
use super::type_state::{Probes, TypeState};
use crate::core::ending::Ending;
use crate::core::retry::Jitter;

/// The state that the queues of a process share.
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) changed: Changes,
    /// Tokens are needed that could be leased.
    pub(super) tokens_needed: Event,
    /// A job may be limited: otherwise runs need no permits.
    pub(super) is_limiting: AtomicBool,
    pub(super) returned: Mutex<ReturnedMessages>,
    /// A message was returned: otherwise every receive was an attempt.
    pub(super) has_returned: AtomicBool,
}

pub(super) struct State {
    pub(super) rules: LimitRules,
    pub(super) types: HashMap<Arc<str>, TypeState>,
    /// The running jobs that need a core.
    pub(super) on_cores: usize,
    pub(super) tenants: Tenants,
    /// The waiting queues, by type; `None` stands for the cores, which all types of their kind share.
    pub(super) turns: HashMap<Option<Arc<str>>, QueueTurns>,
    pub(super) waiting: Waiting,
    pub(super) episodes: Episodes,
    /// Workers share the rates.
    pub(super) shares_rates: bool,
}

impl Shared {
    pub(super) fn new(rules: LimitRules) -> Self {
        let types = rules.types.iter();
        let types =
            types.map(|(name, rules)| (Arc::from(name.as_str()), TypeState::new(rules.clone(), false)));
        let state = State {
            types: types.collect(),
            on_cores: 0,
            tenants: Tenants::default(),
            turns: HashMap::new(),
            waiting: Waiting::default(),
            episodes: Episodes::default(),
            shares_rates: false,
            rules,
        };
        let is_limiting = AtomicBool::new(!state.types.is_empty());
        Self {
            state: Mutex::new(state),
            changed: Changes::default(),
            tokens_needed: Event::new(),
            is_limiting,
            returned: Mutex::default(),
            has_returned: AtomicBool::new(false),
        }
    }

    /// Takes the ending of a run of a type.
    pub(super) fn ended(
        &self,
        now: Instant,
        job_type: &Arc<str>,
        ending: &Ending,
        probes: Probes,
        jitter: Jitter,
    ) {
        if let Some(of_type) = self.state().types.get_mut(job_type) {
            of_type.ended(now, ending, probes, jitter);
        }
        // The release of a permit follows, after which the others repeat their requests.
    }

    /// Adds a run of a type that took this long.
    pub(super) fn ran(&self, job_type: &Arc<str>, took: Duration) {
        if let Some(of_type) = self.state().types.get_mut(job_type) {
            of_type.ran(took);
        }
    }

    pub(super) fn release(&self, class: &JobClass, has_core: bool, probes: Probes) {
        let mut state = self.state();
        let State { types, on_cores, tenants, turns, .. } = &mut *state;
        *on_cores = on_cores.saturating_sub(usize::from(has_core));
        tenants.free(class.tenant.as_ref());
        if let Some(of_type) = types.get_mut(&class.job_type) {
            of_type.release(probes);
            if let Some(turns) = turns.get_mut(&turns_of(class, of_type)) {
                turns.changed();
            }
        }
        drop(state);
        self.changed.notify(usize::MAX);
    }

    /// Runs request permits from now on, and held messages repeat their requests.
    pub(super) fn rules_changed(&self) {
        self.is_limiting.store(true, Ordering::Relaxed);
        self.changed.notify(usize::MAX);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of the turns of queues that wait for the limits of a type.
pub(super) fn turns_of(class: &JobClass, of_type: &TypeState) -> Option<Arc<str>> {
    (!of_type.is_cpu()).then(|| Arc::clone(&class.job_type))
}
