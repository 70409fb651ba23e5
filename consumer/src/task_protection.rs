//! ECS task protection: while a handler has run for longer than the shutdown grace, ECS does not stop the task for a scale-in or a
//! deployment.
//!
//! A shorter run needs no protection: the drain waits long enough for most runs, and a task that is protected during all work
//! would block the deployments of a service with steady traffic. The agent is asked when a run reaches that age, again before
//! the protection expires, and a while after the last such run. A failure to protect is logged and has no other effect: a task
//! that is stopped drains. A request without an answer may have protected the task, so the worker ends it like a known
//! protection. See
//! [Task scale-in protection endpoint](https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html).

use std::sync::Arc;
use std::time::Duration;

use drumline_runtime::QueueStatus;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, info};

use agent::Agent;
use protector::Protector;
use state::State;

mod agent;
mod protector;
mod state;
#[cfg(test)]
mod tests;

/// Protects the task for as long as it exists.
pub(crate) struct TaskProtection {
    keeper: JoinHandle<()>,
}

impl TaskProtection {
    /// Follows the runs of these queues, and protects those that are older than `grace`. Returns `None` and logs the reason if
    /// the ECS agent cannot be found.
    pub(crate) fn start(queues: Vec<Arc<QueueStatus>>, grace: Duration) -> Option<Self> {
        match Agent::of_this_task() {
            Ok(agent) => Some(Self { keeper: tokio::spawn(keep(queues, grace, agent)) }),
            Err(problem) => {
                error!(
                    problem,
                    "the task is not protected: a scale-in may stop it while a handler outlasts the shutdown grace"
                );
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

async fn keep(queues: Vec<Arc<QueueStatus>>, grace: Duration, protector: impl Protector) {
    let mut state = State::new(grace, Instant::now());
    loop {
        let now = Instant::now();
        let oldest = queues.iter().filter_map(|queue| queue.oldest_run()).min();
        state.look(oldest.map(Instant::from_std), now);
        let Some(wanted) = state.request(now) else {
            sleep_until(state.next_look(now)).await;
            continue;
        };
        let result = protector.protect(wanted).await;
        match &result {
            Ok(()) if state.protection() != Some(wanted) => info!(protected = wanted, "task protection"),
            Ok(()) => debug!("task protection renewed"),
            Err(error) => error!(%error, wanted, "task protection could not be changed, trying again"),
        }
        state.answered(wanted, &result, Instant::now());
    }
}
