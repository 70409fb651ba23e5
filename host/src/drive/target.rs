//! The target as a loop has seen it.

use tokio::sync::watch;

use crate::target::{State, TargetHealth};

/// The health of the target as the loop has seen it.
pub(super) struct Target {
    pub(super) health: TargetHealth,
    pub(super) state: watch::Receiver<State>,
    /// The probes by message that were due before.
    pub(super) probes: u64,
}

impl Target {
    pub(super) fn new(health: TargetHealth) -> Self {
        let state = health.watch();
        Self { health, state, probes: 0 }
    }

    /// Completes when the health has changed, or a probe is due. Cancel-safe.
    pub(super) async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
