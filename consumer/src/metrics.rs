//! The metrics of the consumer, under the names that dashboards and alarms rely on.

pub(crate) mod distribution;
mod dlq;
mod labels;
mod oldest;
mod queue;
pub(crate) mod series;

use std::sync::Arc;

use drumline::core::{PauseReason, SqsAction, SqsResult, StoreOperation, StoreResult};
use drumline::run::{Event, Observer};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use self::dlq::DlqMetrics;
use self::labels::{
    ByAction, ByCause, ByClass, ByOperation, ByOutcome, ByQueue, ByReason, ByResult, ByState, ByType,
};
use self::oldest::OldestAges;
use self::queue::QueueMetrics;

/// Upper bounds in seconds: from a quick handler to the longest default attempt.
const DURATION_BUCKETS: [f64; 14] =
    [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 180.0, 450.0, 900.0];

/// Upper bounds in seconds of the time since a message's sending: from at once to a backlog of hours.
const SINCE_SENT_BUCKETS: [f64; 13] =
    [0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// All metrics of a process.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    jobs: Family<ByOutcome, Counter>,
    durations: Histograms<ByType>,
    pickups: Histograms<ByQueue>,
    dwells: Histograms<ByType>,
    oldest: OldestAges,
    running: Family<ByType, Gauge>,
    in_hand: Family<ByQueue, Gauge>,
    paused: Family<ByReason, Gauge>,
    renewals: Family<ByResult, Counter>,
    leases_lost: Family<ByQueue, Counter>,
    claims_lost: Family<ByQueue, Counter>,
    stalled: Family<ByType, Counter>,
    unmarked: Family<ByQueue, Counter>,
    requests: Family<ByAction, Counter>,
    empty_receives: Family<ByQueue, Counter>,
    deduplicated: Family<ByCause, Counter>,
    failures: Family<ByClass, Counter>,
    depths: Family<ByState, Gauge>,
    dead_letters: Family<ByQueue, Gauge>,
    dlq: DlqMetrics,
    store_requests: Family<ByOperation, Counter>,
    /// Those of the store by operation and result: looked up once, since every job counts two of them.
    store: [[Counter; StoreResult::ALL.len()]; StoreOperation::ALL.len()],
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A fresh set, all at zero.
    pub fn new() -> Self {
        let durations: Histograms<ByType> = Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS));
        let dwells: Histograms<ByType> = Family::new_with_constructor(|| Histogram::new(SINCE_SENT_BUCKETS));
        let pickups: Histograms<ByQueue> =
            Family::new_with_constructor(|| Histogram::new(SINCE_SENT_BUCKETS));
        let store_requests = Family::<ByOperation, Counter>::default();
        let store = StoreOperation::ALL.map(|operation| {
            StoreResult::ALL.map(|result| {
                let labels = ByOperation { operation: operation.label(), result: result.label() };
                store_requests.get_or_create(&labels).clone()
            })
        });
        let mut inner = Inner {
            registry: Registry::default(),
            jobs: Family::default(),
            durations,
            pickups,
            dwells,
            oldest: OldestAges::default(),
            running: Family::default(),
            in_hand: Family::default(),
            paused: Family::default(),
            renewals: Family::default(),
            leases_lost: Family::default(),
            claims_lost: Family::default(),
            stalled: Family::default(),
            unmarked: Family::default(),
            requests: Family::default(),
            empty_receives: Family::default(),
            deduplicated: Family::default(),
            failures: Family::default(),
            depths: Family::default(),
            dead_letters: Family::default(),
            dlq: DlqMetrics::default(),
            store_requests,
            store,
        };
        inner.register();
        Self(Arc::new(inner))
    }

    /// The `OpenMetrics` text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.0.registry).expect("writing to a string does not fail");
        text
    }

    fn sqs_request(&self, action: SqsAction, result: SqsResult) {
        let labels = ByAction { action: action.label(), result: result.label() };
        self.0.requests.get_or_create(&labels).inc();
    }

    /// Sets how many messages of a queue are in `state`.
    pub(crate) fn depth(&self, queue: &str, state: &'static str, count: i64) {
        self.0.depths.get_or_create(&ByState { queue: queue.to_owned(), state }).set(count);
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

    /// Returns the observer that counts for one queue.
    pub fn queue(&self, queue: &str) -> Arc<dyn Observer> {
        Arc::new(QueueMetrics::new(self, queue))
    }
}

impl Inner {
    fn set_paused(&self, queue: &str, reason: PauseReason, paused: bool) {
        let labels = ByReason { queue: queue.to_owned(), reason: reason.label() };
        self.paused.get_or_create(&labels).set(i64::from(paused));
    }

    fn register(&mut self) {
        // Counters get their `_total` from the encoder.
        let r = &mut self.registry;
        r.register("drumline_jobs", "Deliveries by what became of them", self.jobs.clone());
        r.register("drumline_job_duration_seconds", "How long attempts took", self.durations.clone());
        r.register(
            "drumline_pickup_delay_seconds",
            "From the message's sending to its start",
            self.pickups.clone(),
        );
        r.register(
            "drumline_job_dwell_seconds",
            "From the message's sending to the end of its job",
            self.dwells.clone(),
        );
        self.oldest.register(r);
        r.register("drumline_jobs_running", "Handlers running now", self.running.clone());
        r.register(
            "drumline_deliveries_in_hand",
            "Deliveries waiting, running or being settled",
            self.in_hand.clone(),
        );
        r.register(
            "drumline_paused",
            "1 while the queue is not received from for this reason",
            self.paused.clone(),
        );
        r.register("drumline_lease_renewals", "Visibility renewals by result", self.renewals.clone());
        r.register("drumline_leases_lost", "Leases that ended under a delivery", self.leases_lost.clone());
        r.register("drumline_claims_lost", "Claims that another run has taken", self.claims_lost.clone());
        r.register(
            "drumline_jobs_stalled",
            "Jobs taken over from a worker that left them without an ending",
            self.stalled.clone(),
        );
        r.register(
            "drumline_unmarked",
            "Messages of done jobs that were deleted although the store did not mark the job as done",
            self.unmarked.clone(),
        );
        r.register("drumline_sqs_requests", "Requests to SQS by action and result", self.requests.clone());
        r.register("drumline_empty_receives", "Receives that brought nothing", self.empty_receives.clone());
        r.register(
            "drumline_deduplicated",
            "Messages deleted without a run, since their job was done before, by cause",
            self.deduplicated.clone(),
        );
        r.register("drumline_queue_depth", "Messages in the queue, by state", self.depths.clone());
        r.register("drumline_dlq_depth", "Messages in the queue's DLQ", self.dead_letters.clone());
        self.dlq.register(r);
        r.register(
            "drumline_store_requests",
            "Requests to the store of claims and histories, by operation and result",
            self.store_requests.clone(),
        );
        r.register("drumline_failures", "Attempts that failed, by class", self.failures.clone());
    }
}

/// Counts what belongs to the process and to no queue.
impl Observer for Metrics {
    fn observe(&self, event: &Event<'_>) {
        match *event {
            Event::SqsRequest { action, result } => self.sqs_request(action, result),
            Event::StoreRequest { operation, result } => {
                self.0.store[operation as usize][result as usize].inc();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
