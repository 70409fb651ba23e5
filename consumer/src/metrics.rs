//! The metrics of the consumer, under the names that dashboards and alarms rely on.

mod labels;

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use drumline::{DuplicateCause, PauseReason};
use drumline_host::{QueueMetrics, StoreMetrics, StoreOperation};
use foldhash::fast::RandomState;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use self::labels::{
    ByAction, ByCause, ByClass, ByOperation, ByOutcome, ByQueue, ByReason, ByResult, ByState, ByType,
};

/// Job types told apart in metrics; further ones count as `other`. A forwarder takes types from messages, and a label
/// with unbounded values would fill the memory of whoever scrapes it.
const MAX_TYPES: usize = 100;

/// The type label of what has no known type.
const UNKNOWN: &str = "unknown";

/// Upper bounds in seconds: from a quick handler to the longest default attempt.
const DURATION_BUCKETS: [f64; 14] =
    [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 180.0, 450.0, 900.0];

/// Upper bounds in seconds: from at once to a backlog of hours.
const PICKUP_BUCKETS: [f64; 13] =
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
    running: Family<ByType, Gauge>,
    in_hand: Family<ByQueue, Gauge>,
    paused: Family<ByReason, Gauge>,
    renewals: Family<ByResult, Counter>,
    leases_lost: Family<ByQueue, Counter>,
    requests: Family<ByAction, Counter>,
    empty_receives: Family<ByQueue, Counter>,
    deduplicated: Family<ByCause, Counter>,
    failures: Family<ByClass, Counter>,
    depths: Family<ByState, Gauge>,
    dead_letters: Family<ByQueue, Gauge>,
    store_requests: Family<ByOperation, Counter>,
    /// Those of the store by operation, answered and not: looked up once, since every job counts two of them.
    store: [[Counter; 2]; StoreOperation::ALL.len()],
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
        let pickups: Histograms<ByQueue> = Family::new_with_constructor(|| Histogram::new(PICKUP_BUCKETS));
        let store_requests = Family::<ByOperation, Counter>::default();
        let store = StoreOperation::ALL.map(|operation| {
            let operation = operation.label();
            ["ok", "failed"]
                .map(|result| store_requests.get_or_create(&ByOperation { operation, result }).clone())
        });
        let mut inner = Inner {
            registry: Registry::default(),
            jobs: Family::default(),
            durations,
            pickups,
            running: Family::default(),
            in_hand: Family::default(),
            paused: Family::default(),
            renewals: Family::default(),
            leases_lost: Family::default(),
            requests: Family::default(),
            empty_receives: Family::default(),
            deduplicated: Family::default(),
            failures: Family::default(),
            depths: Family::default(),
            dead_letters: Family::default(),
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

    /// Counts a request to SQS. The result is `ok` or the kind of the error.
    pub(crate) fn request(&self, action: &'static str, result: &'static str) {
        self.0.requests.get_or_create(&ByAction { action, result }).inc();
    }

    /// Sets how many messages of a queue are in `state`.
    pub(crate) fn depth(&self, queue: &str, state: &'static str, count: i64) {
        self.0.depths.get_or_create(&ByState { queue: queue.to_owned(), state }).set(count);
    }

    /// Sets how many messages the DLQ of `queue` holds.
    pub(crate) fn dead_letter_depth(&self, queue: &str, count: i64) {
        self.0.dead_letters.get_or_create(&ByQueue { queue: queue.to_owned() }).set(count);
    }

    /// The metrics of one queue.
    pub fn queue(&self, queue: &str) -> Arc<dyn QueueMetrics> {
        Arc::new(self.of_queue(queue))
    }

    fn of_queue(&self, queue: &str) -> OfQueue {
        // Present from the start, so that an alert can rely on them.
        for reason in PauseReason::ALL {
            self.0.set_paused(queue, reason, false);
        }
        let by_queue = ByQueue { queue: queue.to_owned() };
        OfQueue {
            pickup: self.0.pickups.get_or_create(&by_queue).clone(),
            in_hand: self.0.in_hand.get_or_create(&by_queue).clone(),
            leases_lost: self.0.leases_lost.get_or_create(&by_queue).clone(),
            empty_receives: self.0.empty_receives.get_or_create(&by_queue).clone(),
            renewed: self.renewals(queue, "ok"),
            not_renewed: self.renewals(queue, "failed"),
            queue: queue.to_owned(),
            all: self.clone(),
            types: RwLock::default(),
        }
    }

    fn renewals(&self, queue: &str, result: &'static str) -> Counter {
        self.0.renewals.get_or_create(&ByResult { queue: queue.to_owned(), result }).clone()
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
        r.register("drumline_sqs_requests", "Requests to SQS by action and result", self.requests.clone());
        r.register("drumline_empty_receives", "Receives that brought nothing", self.empty_receives.clone());
        r.register(
            "drumline_deduplicated",
            "Messages deleted without a run, since their job was done before, by cause",
            self.deduplicated.clone(),
        );
        r.register("drumline_queue_depth", "Messages in the queue, by state", self.depths.clone());
        r.register("drumline_dlq_depth", "Messages in the queue's DLQ", self.dead_letters.clone());
        r.register(
            "drumline_store_requests",
            "Requests to the store of claims and histories, by operation and result",
            self.store_requests.clone(),
        );
        r.register("drumline_failures", "Attempts that failed, by class", self.failures.clone());
    }
}

impl StoreMetrics for Metrics {
    fn request(&self, operation: StoreOperation, answered: bool) {
        self.0.store[operation as usize][usize::from(!answered)].inc();
    }
}

/// The metrics of one queue, looked up once.
struct OfQueue {
    pickup: Histogram,
    in_hand: Gauge,
    leases_lost: Counter,
    empty_receives: Counter,
    renewed: Counter,
    not_renewed: Counter,
    queue: String,
    all: Metrics,
    types: RwLock<HashMap<String, Arc<OfType>, RandomState>>,
}

/// The metrics of one job type on one queue.
struct OfType {
    running: Gauge,
    duration: Histogram,
    acks: Counter,
    label: String,
}

impl OfQueue {
    /// The metrics of a type, `None` being an unknown one.
    fn of_type(&self, job_type: Option<&str>) -> Arc<OfType> {
        let name = job_type.unwrap_or(UNKNOWN);
        let known = self.types.read().expect("nothing panics while it is held");
        if let Some(metrics) = known.get(name) {
            return Arc::clone(metrics);
        }
        let full = known.len() >= MAX_TYPES;
        drop(known);
        if full {
            return Arc::new(self.make_type("other"));
        }
        let metrics = Arc::new(self.make_type(name));
        self.types
            .write()
            .expect("nothing panics while it is held")
            .insert(name.to_owned(), Arc::clone(&metrics));
        metrics
    }

    fn make_type(&self, label: &str) -> OfType {
        let by_type = ByType { queue: self.queue.clone(), r#type: label.to_owned() };
        let all = &self.all.0;
        // From the start, so that the first duplicate is an increase.
        for cause in [DuplicateCause::Redelivered, DuplicateCause::Duplicate, DuplicateCause::Replayed] {
            drop(self.deduplicated_by(label, cause));
        }
        OfType {
            running: all.running.get_or_create(&by_type).clone(),
            duration: all.durations.get_or_create(&by_type).clone(),
            acks: self.jobs(label, "ack"),
            label: label.to_owned(),
        }
    }

    fn deduplicated_by(&self, label: &str, cause: DuplicateCause) -> Counter {
        let (queue, r#type) = (self.queue.clone(), label.to_owned());
        let labels = ByCause { queue, r#type, cause: cause.label() };
        self.all.0.deduplicated.get_or_create(&labels).clone()
    }

    fn jobs(&self, label: &str, outcome: &'static str) -> Counter {
        let labels = ByOutcome { queue: self.queue.clone(), r#type: label.to_owned(), outcome };
        self.all.0.jobs.get_or_create(&labels).clone()
    }
}

impl QueueMetrics for OfQueue {
    fn started(&self, job_type: &str, pickup: Option<Duration>) {
        if let Some(pickup) = pickup {
            self.pickup.observe(pickup.as_secs_f64());
        }
        self.of_type(Some(job_type)).running.inc();
    }

    fn ended(&self, job_type: &str) {
        self.of_type(Some(job_type)).running.dec();
    }

    fn ran(&self, job_type: Option<&str>, took: Duration, failure_class: Option<&'static str>) {
        let of = self.of_type(job_type);
        of.duration.observe(took.as_secs_f64());
        if let Some(class) = failure_class {
            let labels = ByClass { queue: self.queue.clone(), r#type: of.label.clone(), class };
            self.all.0.failures.get_or_create(&labels).inc();
        }
    }

    fn outcome(&self, job_type: Option<&str>, outcome: &'static str) {
        let of = self.of_type(job_type);
        if outcome == "ack" {
            of.acks.inc();
        } else {
            self.jobs(&of.label, outcome).inc();
        }
    }

    fn deduplicated(&self, job_type: Option<&str>, cause: DuplicateCause) {
        let label = &self.of_type(job_type).label;
        self.deduplicated_by(label, cause).inc();
    }

    fn renewals(&self, count: usize, renewed: bool) {
        let counter = if renewed { &self.renewed } else { &self.not_renewed };
        counter.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    fn lease_lost(&self) {
        self.leases_lost.inc();
    }

    fn empty_receive(&self) {
        self.empty_receives.inc();
    }

    fn in_hand(&self, count: usize) {
        self.in_hand.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn paused(&self, reason: PauseReason, paused: bool) {
        self.all.0.set_paused(&self.queue, reason, paused);
    }

    fn request(&self, action: &'static str, result: &'static str) {
        self.all.request(action, result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_contract() {
        let metrics = Metrics::new();
        let queue = metrics.queue("jobs");
        queue.outcome(Some("a.b"), "ack");
        queue.outcome(Some("a.b"), "retry");
        queue.ran(Some("a.b"), Duration::from_millis(30), Some("panicked"));
        queue.renewals(1, true);
        queue.request("ReceiveMessage", "ok");
        queue.paused(PauseReason::StoreDown, true);
        queue.request("ReceiveMessage", "throttled");
        let text = metrics.encode();
        for line in [
            r#"drumline_jobs_total{queue="jobs",type="a.b",outcome="ack"} 1"#,
            r#"drumline_jobs_total{queue="jobs",type="a.b",outcome="retry"} 1"#,
            r#"drumline_job_duration_seconds_bucket{le="0.1",queue="jobs",type="a.b"} 1"#,
            r#"drumline_failures_total{queue="jobs",type="a.b",class="panicked"} 1"#,
            r#"drumline_lease_renewals_total{queue="jobs",result="ok"} 1"#,
            r#"drumline_sqs_requests_total{action="ReceiveMessage",result="throttled"} 1"#,
            r#"drumline_deliveries_in_hand{queue="jobs"} 0"#,
            r#"drumline_paused{queue="jobs",reason="store_down"} 1"#,
            r#"drumline_paused{queue="jobs",reason="operator"} 0"#,
            r#"drumline_pickup_delay_seconds_count{queue="jobs"} 0"#,
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[test]
    fn types_are_bounded() {
        let metrics = Metrics::new();
        let queue = metrics.queue("jobs");
        for n in 0..2 * MAX_TYPES {
            queue.outcome(Some(&format!("type{n}")), "ack");
        }
        let text = metrics.encode();
        assert_eq!(text.matches("drumline_jobs_total{").count(), MAX_TYPES + 1);
        assert!(text.contains(r#"type="other",outcome="ack"} 100"#));
    }
}
