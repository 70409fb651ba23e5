//! The health of the target: the application that forward mode calls, or the service on which handlers depend.
//!
//! All queues of a process share it. While it is unhealthy, they are paused
//! ([`TargetUnhealthy`](drumline::core::PauseReason::TargetUnhealthy)) and probed. This module decides when a target is
//! unhealthy, the kind of a probe, and the time of the next one:
//!
//! - *The request was not sent* (connection refused, no such host, no connection in time): unhealthy at once. The probe is a
//!   connection.
//! - *No proper answer* (401, 403, 404, 5xx, a connection that closed, a time-out): unhealthy once several messages in a
//!   row have failed like this, of several types, or of the only type. If one route fails, that is a failure of its type. The
//!   probe is a message.
//! - With a path for health checks, the probe is a `GET` of it in both cases, until failing answers return soon after a
//!   healthy one ([`Flapping`]).

mod flapping;
mod pace;
mod probes;
mod window;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use drumline::core::Probe;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use crate::redact::redacted;
use crate::sqs::BoxFuture;
use crate::unseen::is_unseen;
use flapping::Flapping;
use pace::PROBE_TIME;
use window::Window;

/// The time for which a failure that the target may have caused waits for others, so that those of the same moment are decided
/// together. Short compared to any backoff.
const DECIDED_WITHIN: Duration = Duration::from_millis(500);

/// Checks the target; the error is the reason in one line why it is not healthy.
pub(crate) type Check = Arc<dyn Fn() -> BoxFuture<Result<(), String>> + Send + Sync>;

/// The health of a process's target. Cheap to clone.
#[derive(Clone)]
pub struct TargetHealth(Arc<Inner>);

struct Inner {
    /// The target's name in logs.
    name: String,
    /// Opens a connection; `None` for a target that only handlers know.
    connect: Option<Check>,
    /// Requests the path for health checks, if there is one.
    path: Option<Check>,
    state: watch::Sender<State>,
    window: Mutex<Window>,
    flapping: Mutex<Flapping>,
    /// The runtime of the probes; without one, only answers show that the target is healthy again.
    probes: OnceLock<Handle>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) trouble: Option<Trouble>,
    /// The number of probes by message that were due.
    pub(crate) message_probes: u64,
}

/// A reason why the target is unhealthy.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) reason: Arc<str>,
    pub(crate) probe: Probe,
    since: Instant,
}

impl TargetHealth {
    /// Makes the health of a target with the name `name`, with its checks.
    pub(crate) fn new(name: String, connect: Option<Check>, path: Option<Check>) -> Self {
        Self(Arc::new(Inner {
            name,
            connect,
            path,
            state: watch::Sender::default(),
            window: Mutex::default(),
            flapping: Mutex::default(),
            probes: OnceLock::new(),
        }))
    }

    /// Makes the health of the service on which handlers depend, as their failures report it.
    pub(crate) fn of_handlers() -> Self {
        Self::new("the handlers' target".to_owned(), None, None)
    }

    /// Returns true if only the results of runs show the health.
    pub(crate) fn is_of_handlers(&self) -> bool {
        self.0.connect.is_none()
    }

    /// Checks the target before messages are received. A worker that starts before its application waits for it.
    pub async fn check(&self) {
        let Some(check) = self.0.path.as_ref().or(self.0.connect.as_ref()) else { return };
        match timeout(PROBE_TIME, check()).await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => self.unreachable(&reason),
            Err(_) => self.unreachable(&format!("no answer within {PROBE_TIME:?}")),
        }
    }

    /// Starts probing the target while it is unhealthy, on this runtime.
    pub(crate) fn probe_on(&self, runtime: Handle) {
        if self.0.probes.set(runtime).is_ok() && self.is_unhealthy() {
            self.start_probes();
        }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.0.state.subscribe()
    }

    /// Returns the reason why the target is unhealthy, in one line.
    pub fn trouble(&self) -> Option<String> {
        self.0.state.borrow().trouble.as_ref().map(|trouble| trouble.reason.to_string())
    }

    pub(crate) fn is_unhealthy(&self) -> bool {
        self.0.state.borrow().trouble.is_some()
    }

    /// Records that a request could not be sent.
    pub(crate) fn unreachable(&self, reason: &str) {
        let probe = if self.is_of_handlers() { Probe::Message } else { Probe::Host };
        if self.is_in_trouble(reason, probe) {
            self.flapping().start_over();
            self.start_probes();
        }
    }

    /// Records that a request of this message failed, possibly because of the target. Waits for a moment, and returns true if
    /// the target is unhealthy.
    pub(crate) async fn failed(&self, job_type: &str, message_id: &str, reason: &str) -> bool {
        let works = {
            let mut window = self.window();
            window.failed(Instant::now(), job_type, message_id);
            window.works(Instant::now())
        };
        if works || self.is_unhealthy() {
            return self.is_unhealthy();
        }
        let mut state = self.watch();
        let trouble = state.wait_for(|state| state.trouble.is_some());
        if timeout(DECIDED_WITHIN, trouble).await.is_err() {
            // An answer that has arrived in between has cleared the window.
            self.judge(reason);
        }
        self.is_unhealthy()
    }

    /// Does the same without a wait, if the message's ending is already decided.
    pub(crate) fn record_failure(&self, job_type: &str, message_id: &str, reason: &str) {
        self.window().failed(Instant::now(), job_type, message_id);
        self.judge(reason);
    }

    /// Marks the target as unhealthy if the latest failures show that.
    fn judge(&self, reason: &str) {
        if self.window().is_target(Instant::now()) {
            // A health check that succeeded a moment ago does not show whether jobs succeed.
            let returns = self.flapping().returns(Instant::now());
            let probe = if self.0.path.is_some() && !returns { Probe::Host } else { Probe::Message };
            if self.is_in_trouble(reason, probe) {
                if !returns {
                    self.flapping().start_over();
                }
                self.start_probes();
            }
        }
    }

    /// Records that a request that began at `begun` got an answer about the message itself.
    pub(crate) fn answered(&self, job_type: &str, begun: Instant) {
        self.window().answered(Instant::now(), job_type);
        // An old connection may answer while the target accepts no new one, which a probe must check.
        let is_probed = self.0.probes.get().is_some();
        let ends =
            |trouble: &Trouble| trouble.since <= begun && (trouble.probe == Probe::Message || !is_probed);
        if self.0.state.borrow().trouble.as_ref().is_some_and(ends) {
            self.is_healthy();
        }
    }

    /// Records a problem. Returns true if it begins.
    fn is_in_trouble(&self, reason: &str, probe: Probe) -> bool {
        // The application's own text is part of logs and `/readyz`.
        let reason = redacted(reason);
        let reason: &str = &reason.chars().map(|c| if is_unseen(c) { ' ' } else { c }).collect::<String>();
        let mut begins = false;
        self.0.state.send_if_modified(|state| {
            let since = state.trouble.as_ref().map_or_else(Instant::now, |trouble| trouble.since);
            begins = state.trouble.is_none();
            // A target that refuses connections is no longer probed with messages.
            let changes =
                state.trouble.as_ref().is_none_or(|known| known.probe != probe && probe == Probe::Host);
            if changes {
                state.trouble = Some(Trouble { reason: reason.into(), probe, since });
            }
            changes
        });
        if begins {
            warn!(url = self.0.name, reason, "target unhealthy");
        }
        begins
    }

    fn is_healthy(&self) {
        let mut ended = None;
        self.0.state.send_if_modified(|state| {
            ended = state.trouble.take();
            ended.is_some()
        });
        if let Some(Trouble { since, .. }) = ended {
            self.window().forget();
            self.flapping().ended(Instant::now());
            info!(url = self.0.name, unhealthy_secs = since.elapsed().as_secs_f64(), "target healthy again");
        }
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.0.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flapping(&self) -> MutexGuard<'_, Flapping> {
        self.0.flapping.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
