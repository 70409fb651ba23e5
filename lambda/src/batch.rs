//! Runs one batch of one queue through a ledger of its own.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use drumline::Router;
use drumline::core::{Acknowledge, InvalidPolicy, Ledger, Limits, Policy};
use drumline::message::Message;
use drumline::run::Observer;
use drumline_runtime::aws::QueueFacts;
use drumline_runtime::{
    BatchReport, ClaimStoreClient, Driver, DriverConfig, FifoStop, Grace, NextJobRoute, NextJobSender, Queue,
    StoreOutage,
};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::error;

use crate::deadline::Deadline;
use crate::queue::{BatchQueue, KnownQueue};
use crate::telemetry::Telemetry;

/// The time that a batch waits to confirm the backoff of its failures if the queue did not respond to the last call: enough for
/// one call, and short because the function's time costs money.
const CONFIRM_BY_SILENT_QUEUE: Duration = Duration::from_millis(500);

/// The longest delay of a response by the check for a DLQ. Only a warning depends on that check.
const LOOK_FOR_DEAD_LETTERS: Duration = Duration::from_secs(1);

/// The parts that all batches of a function share.
#[derive(Clone)]
pub(crate) struct BatchContext {
    pub(crate) router: Arc<Router>,
    pub(crate) handlers: Handle,
    pub(crate) fifo_stop: FifoStop,
    pub(crate) claim_store: ClaimStoreClient,
    pub(crate) next_jobs: Arc<dyn NextJobSender>,
    pub(crate) store_outage: StoreOutage,
    /// The limits of the process, shared by all of its batches.
    pub(crate) limits: Limits,
    pub(crate) telemetry: Telemetry,
}

/// The part of an invocation with the messages of one queue.
pub(crate) struct Batch {
    pub(crate) common: BatchContext,
    pub(crate) queue: Arc<KnownQueue>,
    /// The observer of this queue's part of the invocation.
    pub(crate) observer: Arc<dyn Observer>,
    /// The start of the invocation.
    pub(crate) begun: Instant,
    pub(crate) deadline: Deadline,
}

impl Batch {
    /// Runs the messages, and returns the IDs of those that Lambda may delete.
    pub(crate) async fn run(&self, messages: Vec<Message>) -> Result<HashSet<Arc<str>>, InvalidPolicy> {
        let queue: Arc<dyn Queue> =
            Arc::new(BatchQueue { queue: Arc::clone(&self.queue), observer: Arc::clone(&self.observer) });
        let (drain_at, end_at) = (self.begun + self.deadline.drain, self.begun + self.deadline.end);
        self.queue.ask_for_retries(&messages, drain_at, Arc::clone(&self.observer)).await;
        let mut policy =
            self.queue.settings.policy(&self.queue.name, self.common.store_outage, self.queue.facts());
        if !self.queue.answers() {
            policy.confirm_within = CONFIRM_BY_SILENT_QUEUE;
        }
        let past = self.queue.memory.about(messages.iter().map(|message| &*message.id));
        let mut driver = Driver::new(DriverConfig {
            name: Arc::clone(&self.queue.name),
            intake: Arc::clone(&self.queue.intake),
            ledger: Ledger::recalling(batch_policy(policy, self.common.fifo_stop), past)?,
            queue: self.common.telemetry.trace_queue(queue, &self.queue.name, &self.queue.settings.url),
            router: Arc::clone(&self.common.router),
            observer: Arc::clone(&self.observer),
            status: Arc::clone(&self.queue.status),
            claim_store: Some(self.common.claim_store.clone()),
            payloads: self.queue.payloads.clone(),
            next_jobs: Some(self.next_jobs()),
            limits: Some(self.common.limits.clone()),
            handlers: self.common.handlers.clone(),
        });
        driver.remember_in(self.queue.memory.clone());
        if let Some(lease) = self.queue.lease(Arc::clone(&self.observer)) {
            driver.resolve_lease(lease);
        }
        let report = run_batch(&mut driver, messages, drain_at, end_at).await;
        if report.failed_permanently {
            self.look_for_dead_letters().await;
        }
        // After its response the process is frozen, and pending writes with it.
        self.common.claim_store.settle(end_at.saturating_duration_since(Instant::now())).await;
        Ok(report.deletable)
    }

    /// Returns the route of next jobs of this queue. They are sent before the job's mark, even if the store has an outbox,
    /// because a frozen function relays nothing.
    fn next_jobs(&self) -> NextJobRoute {
        let sender = Arc::clone(&self.common.next_jobs);
        NextJobRoute { sender, queue_url: self.queue.settings.url.clone(), with_mark: false }
    }

    /// A permanent failure depends on a DLQ. The first one checks if the queue has a DLQ, within the time left.
    async fn look_for_dead_letters(&self) {
        let end = (self.begun + self.deadline.end).min(Instant::now() + LOOK_FOR_DEAD_LETTERS);
        let facts = self.queue.ask_until(end, Arc::clone(&self.observer)).await;
        if facts.is_some_and(QueueFacts::is_unbounded) {
            error!(
                queue = &*self.queue.name,
                "a permanent failure has no DLQ to go to, so it stays in the queue and comes back until it expires: \
                 give the queue a redrive policy"
            );
        }
    }
}

/// Returns the policy of a batch: its messages are delivered at the start, and acknowledged by the response.
pub fn batch_policy(policy: Policy, fifo_stop: FifoStop) -> Policy {
    Policy {
        acknowledge: Acknowledge::ByResponse,
        polling: None,
        one_lane: fifo_stop == FifoStop::Batch,
        ..policy
    }
}

/// Runs a batch's messages to their end. At `drain_at`, new runs stop and running handlers are cancelled. At `end_at` the batch
/// ends in any case.
pub async fn run_batch(
    driver: &mut Driver,
    messages: Vec<Message>,
    drain_at: Instant,
    end_at: Instant,
) -> BatchReport {
    driver.hand_in(messages, drain_at.into_std());
    let drain = async {
        tokio::time::sleep_until(drain_at).await;
        // A batch may start after its `drain_at`. It then has less time.
        Grace { finish: Duration::ZERO, end: end_at.saturating_duration_since(Instant::now().max(drain_at)) }
    };
    driver.run(drain).await
}
