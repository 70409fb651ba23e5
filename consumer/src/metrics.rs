//! The metrics of the consumer, under the names that dashboards and alarms rely on.

mod cost;
pub(crate) mod distribution;
mod dlq;
mod exemplars;
mod families;
mod labels;
mod limits;
mod oldest;
pub(crate) mod outbox;
mod queue;
pub(crate) mod series;
mod tenants;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use drumline::core::{Limits, SlotPool};
use drumline::run::{Event, Observer};
use drumline_producer::outbox::RelayObserver;
use drumline_runtime::{SINCE_SENT_BUCKETS, SqsPrice};
use prometheus_client::encoding::text::{encode_eof, encode_registry};

use self::families::Families;
use self::labels::{ByQueue, ByState};
use self::outbox::OutboxMetrics;
use self::queue::QueueMetrics;

/// All metrics of a process.
#[derive(Clone)]
pub struct Metrics(Arc<Families>);

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A fresh set, all at zero.
    pub fn new() -> Self {
        Self(Arc::new(Families::new()))
    }

    /// Returns the upper bounds in seconds of the buckets of `drumline_job_dwell_seconds`, in order, without the infinite one.
    pub fn dwell_bounds() -> &'static [f64] {
        &SINCE_SENT_BUCKETS
    }

    /// The `OpenMetrics` text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let outbox = self.0.outbox.get().map(|outbox| outbox.registry());
        for registry in std::iter::once(&self.0.registry).chain(outbox) {
            encode_registry(&mut text, registry).expect("writing to a string does not fail");
        }
        encode_eof(&mut text).expect("writing to a string does not fail");
        text
    }

    /// The `OpenMetrics` text, with exemplars: traces of jobs, for clients that ask for `OpenMetrics`.
    pub fn encode_with_exemplars(&self) -> String {
        self.0.exemplars.add_to(&self.encode())
    }

    /// Sets the price of requests to SQS, by which the cost of a job is shown.
    pub fn set_sqs_price(&self, price: SqsPrice) {
        self.0.cost.set_price(price);
    }

    /// Returns the observer that counts for the relay of an outbox. From then on the families `drumline_outbox_…` are shown.
    pub fn relay(&self) -> Arc<dyn RelayObserver> {
        self.outbox()
    }

    /// Returns the metrics of the outbox, which are shown from then on.
    pub(crate) fn outbox(&self) -> Arc<OutboxMetrics> {
        Arc::clone(self.0.outbox.get_or_init(|| Arc::new(OutboxMetrics::new())))
    }

    /// Shows the limits of the process's jobs from now on.
    pub fn limits(&self, limits: &Limits) {
        self.0.limits.set_limits(limits.clone());
    }

    /// Shows the slots that queues with weights share, from now on.
    pub fn slots(&self, slots: &SlotPool) {
        self.0.limits.set_slots(slots.clone());
    }

    /// Counts by tenant, in the observers of queues that are made from now on.
    pub fn count_tenants(&self) {
        self.0.counts_tenants.store(true, Ordering::Relaxed);
    }

    /// Sets how many messages of a queue are in `state`.
    pub(crate) fn depth(&self, queue: &str, state: &'static str, count: i64) {
        self.0.depths.get_or_create(&ByState { queue: queue.to_owned(), state }).set(count);
    }

    /// Returns the longest wait of a message for its first run, among those of the last minute of receiving.
    pub(crate) fn longest_first_wait(&self, queue: &str) -> Duration {
        self.0.first_waits.longest(&ByQueue { queue: queue.to_owned() })
    }

    /// Notes such a wait.
    #[cfg(test)]
    pub(crate) fn learn_first_wait(&self, queue: &str, wait: Duration) {
        let first_waits = self.0.first_waits.for_queue(&ByQueue { queue: queue.to_owned() });
        first_waits.received(Some(wait), tokio::time::Instant::now());
    }

    /// Sets how many messages the DLQ of `queue` holds.
    pub(crate) fn dead_letter_depth(&self, queue: &str, count: i64) {
        self.0.dead_letters.get_or_create(&ByQueue { queue: queue.to_owned() }).set(count);
    }

    /// Counts a letter that a watch over the DLQ of this name has not seen before.
    pub(crate) fn dead_letter(&self, dlq: &str, job_type: Option<&str>, class: Option<&str>) {
        self.0.dlq.letter(dlq, job_type, class);
    }

    /// Counts a try to deliver an alert.
    pub(crate) fn alert(&self, dlq: &str, result: &'static str) {
        self.0.dlq.alert(dlq, result);
    }

    /// Counts a call of the hook for dead jobs by a watch, for a job of this queue.
    pub(crate) fn dead_job_hook(&self, queue: &str, succeeded: bool) {
        self.0.dlq.dead_job_hook(queue, succeeded);
    }

    /// Returns the observer that counts for one queue.
    pub fn queue(&self, queue: &str) -> Arc<dyn Observer> {
        Arc::new(QueueMetrics::new(&self.0, queue))
    }
}

/// Counts what belongs to the process and to no queue.
impl Observer for Metrics {
    fn observe(&self, event: &Event<'_>) {
        self.0.observe_request(event);
    }
}

#[cfg(test)]
mod tests;
