//! Prepares taken jobs for sending.

use std::sync::Arc;

use drumline_store::outbox::TakenJob;
use jiff::Timestamp;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::arrived::{Arrived, Preparation};
use super::deadline::Deadline;
use super::message::message;
use super::observer::ParkedClass;
use super::queues::{NoQueue, Queues};
use crate::routes::Routes;

/// The number of jobs that are prepared before other tasks of the thread can run: some milliseconds.
const AT_ONCE: usize = 50;

/// Creates the messages of taken jobs.
pub(super) struct Preparer {
    routes: Arc<Routes>,
    queues: Queues,
}

impl Preparer {
    pub(super) fn new(routes: Arc<Routes>) -> Self {
        Self { queues: Queues::new(Arc::clone(&routes)), routes }
    }

    /// Prepares jobs. `asked_at` is the time at which the outbox was asked for them.
    pub(super) async fn prepare_all(&self, asked_at: Instant, jobs: Vec<TakenJob>) -> Vec<Arrived> {
        self.queues.look_up(&jobs).await;
        let mut arrived = Vec::with_capacity(jobs.len());
        for taken in jobs {
            let deadline = Deadline::of(asked_at, taken.lease.left);
            let preparation = self.prepare(&taken);
            arrived.push(Arrived { taken, deadline, preparation });
            if arrived.len() % AT_ONCE == 0 {
                yield_now().await;
            }
        }
        arrived
    }

    fn prepare(&self, taken: &TakenJob) -> Preparation {
        let queue = match self.queues.queue_of(&taken.job) {
            Ok(queue) => queue,
            Err(NoQueue::Refused(reason)) => {
                return Preparation::Refused { queue: None, class: ParkedClass::NoQueue, reason };
            }
            Err(NoQueue::NotNow(class)) => return Preparation::NotNow { class },
        };
        // The time when it was added, so that the message is the same when it is sent again.
        let added_at = taken.added_ms.and_then(|added_ms| Timestamp::from_millisecond(added_ms).ok());
        let created_at = added_at.unwrap_or_else(Timestamp::now);
        match message(&taken.job, created_at, queue.is_fifo(), &self.routes.checks) {
            Ok(outgoing) => Preparation::Ready(queue, Box::new(outgoing)),
            Err(problem) => {
                let (queue, reason) = (Some(queue.name().to_owned()), problem.to_string());
                Preparation::Refused { queue, class: ParkedClass::Refused, reason }
            }
        }
    }
}
