//! The state that a tester's runs share: the router, the settings, and the memory between runs.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::runtime::TestRuntime;
use super::settings::TestSettings;
use super::test_claims::TestClaims;
use crate::api::router::Router;

#[derive(Clone)]
pub(super) struct Bench {
    pub(super) router: Arc<Router>,
    pub(super) settings: Arc<TestSettings>,
    pub(super) runtime: Option<TestRuntime>,
    pub(super) extension: Option<Arc<dyn Any + Send + Sync>>,
    memory: Arc<Mutex<Memory>>,
}

/// The memory of a worker, its queue and its store.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) claims: TestClaims,
    /// The messages that are in their queue, by queue and body.
    in_queue: HashMap<(Arc<str>, String), Arc<str>>,
    /// The receives of each message.
    receives: HashMap<Arc<str>, u32>,
    sent: u32,
}

impl Bench {
    pub(super) fn new(router: Router) -> Self {
        Self {
            router: Arc::new(router),
            settings: Arc::default(),
            runtime: None,
            extension: None,
            memory: Arc::default(),
        }
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Receives a message, and first sends it if its queue does not have it. Returns its id and its number of receives.
    pub(super) fn receive(
        &mut self,
        queue: &Arc<str>,
        body: &str,
        id: Option<Arc<str>>,
        receive_count: Option<u32>,
    ) -> (Arc<str>, u32) {
        let place = (Arc::clone(queue), body.to_owned());
        let id = id.or_else(|| self.in_queue.get(&place).cloned()).unwrap_or_else(|| {
            self.sent += 1;
            format!("message-{}", self.sent).into()
        });
        self.in_queue.insert(place, Arc::clone(&id));
        let receives = self.receives.entry(Arc::clone(&id)).or_default();
        *receives = receive_count.unwrap_or(*receives + 1);
        (id, *receives)
    }

    /// Removes a message from its queue.
    pub(super) fn remove(&mut self, id: &str) {
        self.in_queue.retain(|_, other| **other != *id);
    }
}
