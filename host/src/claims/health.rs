//! The store's health: derived from its answers, and checked while it does not answer.

use std::sync::{Arc, Weak};
use std::time::Duration;

use drumline_store::{Store, StoreErrorText};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::{error, info};

/// The first interval of the checks while the store does not answer: it notices a restart soon, and is no burden in an outage.
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

    /// Records that the store has answered a request.
    pub(super) fn answered(&self) {
        // Usually it is already true; reading it costs less than changing it.
        if !*self.answers.borrow() && self.set(true) {
            info!("the store answers again");
        }
    }

    /// Records that it has not answered; from now on it is checked until it does.
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
            // The store was dropped with its host, so no task waits for it.
            let Some(store) = self.store.upgrade() else { return };
            if store.ping().await.is_ok() {
                return self.answered();
            }
        }
    }
}
