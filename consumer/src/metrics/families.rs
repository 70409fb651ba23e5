//! The families of metrics that a process has, and what they are called.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use drumline::core::{PauseReason, SqsAction, SqsResult, StoreOperation, StoreResult};
use drumline::run::Event;
use drumline_runtime::{DURATION_BUCKETS, SINCE_SENT_BUCKETS};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::cost::CostMetrics;
use super::dlq::DlqMetrics;
use super::exemplars::Exemplars;
use super::labels::{
    ByAction, ByCause, ByClass, ByLimit, ByOperation, ByOutcome, ByQueue, ByReason, ByResult, ByState,
    ByTenant, ByType,
};
use super::limits::LimitMetrics;
use super::oldest::OldestAges;
use super::outbox::OutboxMetrics;

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Every family, registered under its name.
pub(super) struct Families {
    pub(super) registry: Registry,
    pub(super) jobs: Family<ByOutcome, Counter>,
    pub(super) durations: Histograms<ByType>,
    pub(super) pickups: Histograms<ByQueue>,
    pub(super) dwells: Histograms<ByType>,
    pub(super) oldest: OldestAges,
    /// The waits of messages for their first run. Not registered: `/gate` shows them, and metrics have a histogram of all waits.
    pub(super) first_waits: OldestAges,
    pub(super) running: Family<ByType, Gauge>,
    pub(super) in_hand: Family<ByQueue, Gauge>,
    paused: Family<ByReason, Gauge>,
    /// The limits themselves.
    pub(super) limits: LimitMetrics,
    pub(super) limit_waiting: Family<ByLimit, Gauge>,
    pub(super) limit_returned: Family<ByLimit, Counter>,
    /// Observers of queues count by tenant.
    pub(super) counts_tenants: AtomicBool,
    pub(super) tenant_jobs: Family<ByTenant, Counter>,
    pub(super) tenant_dwells: Histograms<ByTenant>,
    pub(super) renewals: Family<ByResult, Counter>,
    pub(super) leases_lost: Family<ByQueue, Counter>,
    pub(super) claims_lost: Family<ByQueue, Counter>,
    pub(super) stalled: Family<ByType, Counter>,
    pub(super) last_attempts: Family<ByType, Counter>,
    pub(super) unmarked: Family<ByQueue, Counter>,
    pub(super) cost: CostMetrics,
    /// The traces of jobs, which are not in the registry.
    pub(super) exemplars: Exemplars,
    requests: Family<ByAction, Counter>,
    replaced_clients: Counter,
    pub(super) empty_receives: Family<ByQueue, Counter>,
    pub(super) deduplicated: Family<ByCause, Counter>,
    pub(super) failures: Family<ByClass, Counter>,
    pub(super) depths: Family<ByState, Gauge>,
    pub(super) dead_letters: Family<ByQueue, Gauge>,
    pub(super) dlq: DlqMetrics,
    /// Those of the outbox, once the process relays.
    pub(super) outbox: OnceLock<Arc<OutboxMetrics>>,
    store_requests: Family<ByOperation, Counter>,
    /// Those of the store by operation and result: looked up once, since every job counts two of them.
    store: [[Counter; StoreResult::ALL.len()]; StoreOperation::ALL.len()],
}

impl Families {
    /// A fresh set, all at zero.
    pub(super) fn new() -> Self {
        let durations: Histograms<ByType> = Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS));
        let dwells: Histograms<ByType> = Family::new_with_constructor(|| Histogram::new(SINCE_SENT_BUCKETS));
        let tenant_dwells: Histograms<ByTenant> =
            Family::new_with_constructor(|| Histogram::new(SINCE_SENT_BUCKETS));
        let pickups: Histograms<ByQueue> =
            Family::new_with_constructor(|| Histogram::new(SINCE_SENT_BUCKETS));
        let store_requests = Family::<ByOperation, Counter>::default();
        let store = StoreOperation::ALL.map(|operation| {
            StoreResult::ALL.map(|result| {
                let labels = ByOperation { operation: operation.label(), result: result.label() };
                store_requests.get_or_create(&labels).clone()
            })
        });
        let mut families = Self {
            registry: Registry::default(),
            jobs: Family::default(),
            durations,
            pickups,
            dwells,
            oldest: OldestAges::default(),
            first_waits: OldestAges::default(),
            running: Family::default(),
            in_hand: Family::default(),
            paused: Family::default(),
            limits: LimitMetrics::default(),
            limit_waiting: Family::default(),
            limit_returned: Family::default(),
            counts_tenants: AtomicBool::new(false),
            tenant_jobs: Family::default(),
            tenant_dwells,
            renewals: Family::default(),
            leases_lost: Family::default(),
            claims_lost: Family::default(),
            stalled: Family::default(),
            last_attempts: Family::default(),
            unmarked: Family::default(),
            cost: CostMetrics::default(),
            exemplars: Exemplars::default(),
            requests: Family::default(),
            replaced_clients: Counter::default(),
            empty_receives: Family::default(),
            deduplicated: Family::default(),
            failures: Family::default(),
            depths: Family::default(),
            dead_letters: Family::default(),
            dlq: DlqMetrics::default(),
            outbox: OnceLock::new(),
            store_requests,
            store,
        };
        families.register();
        families
    }

    /// Counts a request to SQS or to the store: these belong to the process and to no queue.
    pub(super) fn observe_request(&self, event: &Event<'_>) {
        match *event {
            Event::SqsRequest { action, result } => self.sqs_request(action, result),
            Event::StoreRequest { operation, result } => {
                self.store[operation as usize][result as usize].inc();
            }
            Event::SqsClientReplaced => drop(self.replaced_clients.inc()),
            _ => {}
        }
    }

    fn sqs_request(&self, action: SqsAction, result: SqsResult) {
        let labels = ByAction { action: action.label(), result: result.label() };
        self.requests.get_or_create(&labels).inc();
        self.cost.request();
    }

    /// Sets whether a queue is paused for a reason.
    pub(super) fn set_paused(&self, queue: &str, reason: PauseReason, paused: bool) {
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
        self.limits.register(r);
        r.register(
            "drumline_limit_waiting",
            "Messages that wait in hand for a limit of their type",
            self.limit_waiting.clone(),
        );
        r.register(
            "drumline_limit_returned",
            "Messages that went back to the queue, since jobs of their type wait for a limit",
            self.limit_returned.clone(),
        );
        r.register("drumline_tenant_jobs", "Started attempts by tenant", self.tenant_jobs.clone());
        r.register(
            "drumline_tenant_dwell_seconds",
            "From the message's sending to the end of its job, by tenant",
            self.tenant_dwells.clone(),
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
            "drumline_last_attempts",
            "Failed attempts that no other follows, since the message has used up its receives",
            self.last_attempts.clone(),
        );
        r.register(
            "drumline_unmarked",
            "Messages of done jobs that were deleted although the store did not mark the job as done",
            self.unmarked.clone(),
        );
        r.register("drumline_sqs_requests", "Requests to SQS by action and result", self.requests.clone());
        self.cost.register(r);
        r.register(
            "drumline_sqs_client_replaced",
            "Whether the SDK's SQS client has taken over from the lean one, for a fault that only that had",
            self.replaced_clients.clone(),
        );
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
