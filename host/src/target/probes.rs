//! The probes of an unhealthy target, and the time of the next one.

use std::time::Duration;

use drumline::core::Probe;
use tokio::time::{Instant, timeout};

use super::pace::{PROBE_TIME, next_wait};
use super::{State, TargetHealth};

/// The wait before the first probe by the host, and the longest: a connection or a health check costs the target little, and
/// the worker must continue within seconds.
const HOST_WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));

impl TargetHealth {
    /// Probes in the background until the target is healthy.
    pub(super) fn start_probes(&self) {
        let since = self.0.state.borrow().trouble.as_ref().map(|trouble| trouble.since);
        if let (Some(runtime), Some(since)) = (self.0.probes.get(), since) {
            let health = self.clone();
            runtime.spawn(async move { health.probe_until_healthy(since).await });
        }
    }

    /// Starts probes for a problem that began at `since`.
    async fn probe_until_healthy(&self, since: Instant) {
        let mut state = self.watch();
        let mut host_wait = None;
        loop {
            let current = probe(&state.borrow_and_update(), since);
            let Some(probe) = current else { return };
            let wait = if probe == Probe::Message {
                self.flapping().next_wait()
            } else {
                *host_wait.insert(next_wait(host_wait, HOST_WAITS))
            };
            let changes = state.wait_for(|state| self::probe(state, since) != Some(probe));
            if timeout(wait, changes).await.is_ok() {
                continue;
            }
            if probe == Probe::Message {
                self.flapping().probed(wait);
                self.0.state.send_modify(|state| state.message_probes += 1);
            } else if let Some(check) = self.0.path.as_ref().or(self.0.connect.as_ref())
                && let Ok(Ok(())) = timeout(PROBE_TIME, check()).await
            {
                self.is_healthy();
            }
        }
    }
}

/// Returns the probe that can end the problem; `None` if it has ended.
fn probe(state: &State, since: Instant) -> Option<Probe> {
    state.trouble.as_ref().filter(|trouble| trouble.since == since).map(|trouble| trouble.probe)
}
