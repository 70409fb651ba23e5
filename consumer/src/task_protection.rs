//! ECS task protection: while the process has messages in hand, ECS chooses another task when it scales in.
//!
//! The agent is asked when work begins and when it has ended, and again before its promise expires. That it cannot be had is
//! told and changes nothing else: a task that is stopped drains. See
//! [Task scale-in protection endpoint](https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html).

use std::sync::Arc;
use std::time::Duration;

use drumline_runtime::QueueStatus;
use futures_util::future::select_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, info};

use agent::Agent;
use protector::{EXPIRES_IN_MINUTES, Protector};

mod agent;
mod protector;
#[cfg(test)]
mod tests;

/// How long after a request it is made again, so that one more may fail before the protection has expired.
const RENEW: Duration = Duration::from_secs(EXPIRES_IN_MINUTES * 60 / 3);

/// How long nothing was in hand when the protection is given up: without it every message of a quiet queue would cost two
/// requests.
const IDLE: Duration = Duration::from_secs(15);

/// The wait after a failed request. ECS allows a few requests a second for a whole cluster.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// Protects the task for as long as it exists.
pub(crate) struct TaskProtection {
    keeper: JoinHandle<()>,
}

impl TaskProtection {
    /// Follows these queues; `None` where ECS's agent is not to be found, which is told.
    pub(crate) fn start(queues: Vec<Arc<QueueStatus>>) -> Option<Self> {
        match Agent::of_this_task() {
            Ok(agent) => Some(Self { keeper: tokio::spawn(keep(queues, agent)) }),
            Err(problem) => {
                error!(problem, "the task is not protected: a scale-in may stop it while it is busy");
                None
            }
        }
    }
}

impl Drop for TaskProtection {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn keep(queues: Vec<Arc<QueueStatus>>, protector: impl Protector) {
    let mut busy: Vec<watch::Receiver<bool>> = queues.iter().map(|queue| queue.busy()).collect();
    let mut state = State::new(Instant::now());
    loop {
        state.is_busy(busy.iter_mut().any(|busy| *busy.borrow_and_update()), Instant::now());
        tokio::select! {
            // Cancel-safe: a change that is not taken here is seen at the next turn.
            () = changed(&mut busy) => {}
            () = until(state.due()) => {
                let wanted = state.busy;
                let result = protector.protect(wanted).await;
                match &result {
                    Ok(()) if state.protected != wanted => info!(protected = wanted, "task protection"),
                    Ok(()) => debug!("task protection renewed"),
                    Err(error) => error!(error, wanted, "task protection could not be changed, trying again"),
                }
                state.answered(wanted, result.is_ok(), Instant::now());
            }
        }
    }
}

/// What is known, and when something is to be asked for.
struct State {
    busy: bool,
    protected: bool,
    idle_since: Instant,
    renew_at: Instant,
    not_before: Instant,
}

impl State {
    fn new(now: Instant) -> Self {
        Self { busy: false, protected: false, idle_since: now, renew_at: now, not_before: now }
    }

    fn is_busy(&mut self, busy: bool, now: Instant) {
        if self.busy && !busy {
            self.idle_since = now;
        }
        self.busy = busy;
    }

    /// When the next request is made; never, where all is as it should be.
    fn due(&self) -> Option<Instant> {
        let due = match (self.busy, self.protected) {
            (true, false) => self.not_before,
            (true, true) => self.renew_at,
            (false, true) => self.idle_since + IDLE,
            (false, false) => return None,
        };
        Some(due.max(self.not_before))
    }

    fn answered(&mut self, wanted: bool, done: bool, now: Instant) {
        if done {
            self.protected = wanted;
            self.renew_at = now + RENEW;
        } else {
            self.not_before = now + TRY_AGAIN;
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The statuses live as long as their receivers, so this ends with a change only.
async fn changed(busy: &mut [watch::Receiver<bool>]) {
    drop(select_all(busy.iter_mut().map(|busy| Box::pin(busy.changed()))).await);
}
