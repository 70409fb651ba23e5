//! One batch of one queue, through a ledger of its own.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drumline::{Acknowledge, InvalidPolicy, Ledger, Message, Note, Outcome, Policy, Recollection, Router};
use drumline_host::{Books, Driver, FifoStop, Grace, Listener, Parts, Queue, QueueMetrics, policy};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::error;

use crate::deadline::Deadline;
use crate::queue::{BatchQueue, KnownQueue};

/// What batches of a function have in common.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) router: Arc<Router>,
    pub(crate) handlers: Handle,
    pub(crate) fifo_stop: FifoStop,
    pub(crate) books: Books,
}

/// A queue's part of an invocation.
pub(crate) struct Batch {
    pub(crate) common: Common,
    pub(crate) queue: Arc<KnownQueue>,
    pub(crate) metrics: Arc<dyn QueueMetrics>,
    /// When the invocation began.
    pub(crate) begun: Instant,
    pub(crate) deadline: Deadline,
}

impl Batch {
    /// Runs the messages, and tells the ids of those that Lambda may delete.
    pub(crate) async fn run(&self, messages: Vec<Message>) -> Result<HashSet<Arc<str>>, InvalidPolicy> {
        let queue =
            Arc::new(BatchQueue { queue: Arc::clone(&self.queue), metrics: Arc::clone(&self.metrics) });
        let policy = policy(&self.queue.name, &self.queue.settings, self.queue.facts());
        let past = {
            let memory = self.queue.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.about(messages.iter().map(|message| &*message.id))
        };
        let outcomes = Arc::new(Outcomes::remembered_by(Arc::clone(&self.queue.memory)));
        let mut driver = Driver::new(Parts {
            name: Arc::clone(&self.queue.name),
            intake: Arc::clone(&self.queue.intake),
            ledger: Ledger::recalling(batch_policy(policy, self.common.fifo_stop), past)?,
            queue: queue as Arc<dyn Queue>,
            router: Arc::clone(&self.common.router),
            metrics: Arc::clone(&self.metrics),
            listener: Arc::clone(&outcomes) as Arc<dyn Listener>,
            status: Arc::clone(&self.queue.status),
            books: Some(self.common.books.clone()),
            handlers: self.common.handlers.clone(),
        });
        if let Some(lease) = self.queue.lease(Arc::clone(&self.metrics)) {
            driver.learn_lease(lease);
        }
        run_batch(&mut driver, messages, self.begun + self.deadline.drain, self.begun + self.deadline.end)
            .await;
        if outcomes.failed_for_good() {
            self.look_for_dead_letters().await;
        }
        // A process that has answered is frozen, and what it was writing with it.
        let end = self.begun + self.deadline.end;
        self.common.books.settle(end.saturating_duration_since(Instant::now())).await;
        Ok(outcomes.done())
    }

    /// A permanent failure relies on a DLQ. Whether there is one is found out with the first, within the time left.
    async fn look_for_dead_letters(&self) {
        if self.queue.facts().is_some() {
            return;
        }
        let end = self.begun + self.deadline.end;
        let facts = tokio::time::timeout_at(end, self.queue.ask(Arc::clone(&self.metrics))).await;
        if facts.is_ok_and(|facts| facts.is_some_and(|facts| facts.redrive.is_none())) {
            error!(
                queue = &*self.queue.name,
                "a permanent failure has no DLQ to go to, so it stays in the queue and comes back until it expires: \
                 give the queue a redrive policy"
            );
        }
    }
}

/// The policy of a batch: it is handed in, and acknowledged by the response.
pub fn batch_policy(policy: Policy, fifo_stop: FifoStop) -> Policy {
    Policy {
        acknowledge: Acknowledge::ByResponse,
        polling: None,
        one_lane: fifo_stop == FifoStop::Batch,
        ..policy
    }
}

/// Runs a batch's messages to their end: from `drain_at` on nothing starts any more, and what runs is cancelled; at
/// `end_at` it is over in any case. What became of them is told to the driver's listener, such as [`Outcomes`].
pub async fn run_batch(driver: &mut Driver, messages: Vec<Message>, drain_at: Instant, end_at: Instant) {
    driver.hand_in(messages, drain_at.into_std());
    let drain = async {
        tokio::time::sleep_until(drain_at).await;
        Grace { finish: Duration::ZERO, end: end_at.saturating_duration_since(drain_at) }
    };
    driver.run(drain).await;
}

/// What the batches of a process have learned of their messages.
pub type Memory = Arc<Mutex<Recollection>>;

/// What became of a batch's messages.
#[derive(Debug)]
pub struct Outcomes {
    told: Mutex<Told>,
    /// Learns at once, since a message may come back in another batch before this one has ended.
    memory: Memory,
}

#[derive(Debug, Default)]
struct Told {
    /// Done, or in the DLQ.
    done: HashSet<Arc<str>>,
    failed_for_good: bool,
}

impl Outcomes {
    /// Nothing yet. What is learned of messages goes to `memory`.
    pub fn remembered_by(memory: Memory) -> Self {
        Self { told: Mutex::default(), memory }
    }

    /// The ids of the messages that may be deleted: done, or copied to the DLQ. All others are to be listed.
    pub fn done(&self) -> HashSet<Arc<str>> {
        self.told().done.clone()
    }

    fn failed_for_good(&self) -> bool {
        self.told().failed_for_good
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Outcomes {
    fn note(&self, _queue: &str, note: &Note) {
        match note {
            Note::Decided { outcome: Outcome::Ack, message, .. } | Note::Moved(message) => {
                self.told().done.insert(Arc::clone(&message.id));
            }
            Note::Learned { message, past } => {
                let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
                memory.learn(Arc::clone(&message.id), past.clone());
            }
            Note::Decided { outcome: Outcome::DeadLetter(_), .. } => self.told().failed_for_good = true,
            _ => {}
        }
    }
}
