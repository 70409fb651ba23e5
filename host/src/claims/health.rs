//! Whether the store answers: known from what is asked of it, and looked after while it does not.

use std::sync::{Arc, Weak};
use std::time::Duration;

use drumline_store::{Store, StoreErrorText};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::{error, info};

/// How often a store that does not answer is asked whether it does: soon after a restart, and no burden in an outage.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

pub(super) struct Health {
    answers: watch::Sender<bool>,
    store: Weak<dyn Store>,
    runtime: Handle,
}

impl Health {
    pub(super) fn new(store: Weak<dyn Store>, runtime: Handle) -> Arc<Self> {
        Arc::new(Self { answers: watch::Sender::new(true), store, runtime })
    }

    pub(super) fn watch(&self) -> watch::Receiver<bool> {
        self.answers.subscribe()
    }

    /// The store has answered a question.
    pub(super) fn answered(&self) {
        // Nearly always so already; looking costs less than changing.
        if !*self.answers.borrow() && self.set(true) {
            info!("the store answers again");
        }
    }

    /// It has not; from now on it is asked until it does.
    pub(super) fn failed(self: &Arc<Self>, failure: &StoreErrorText) {
        if self.set(false) {
            error!(error = %failure, "the store does not answer: not ready until it does");
            let health = Arc::clone(self);
            self.runtime.spawn(async move { health.ask_again().await });
        }
    }

    fn set(&self, answers: bool) -> bool {
        self.answers.send_if_modified(|was| std::mem::replace(was, answers) != answers)
    }

    async fn ask_again(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            // Gone with its host, which nobody waits for any more.
            let Some(store) = self.store.upgrade() else { return };
            if store.ping().await.is_ok() {
                return self.answered();
            }
        }
    }
}
