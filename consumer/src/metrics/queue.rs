//! The observer that counts for one queue.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use drumline::core::{DuplicateCause, LedgerEvent, LimitReason, Outcome, PauseReason, RunFacts};
use drumline::run::{Event, Observer};
use drumline_runtime::aws::is_fifo;
use drumline_runtime::{MAX_TYPES, OTHER_TYPE, UNKNOWN_TYPE, age, dwell, pickup_delay};
use foldhash::fast::RandomState;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

use super::families::Families;
use super::labels::{ByCause, ByClass, ByLimit, ByOutcome, ByQueue, ByResult, ByType};
use super::oldest::OldestAge;
use super::tenants::TenantMetrics;

/// The metrics of one queue, looked up once.
pub(super) struct QueueMetrics {
    pickup: Histogram,
    in_hand: Gauge,
    oldest: Arc<OldestAge>,
    first_wait: Arc<OldestAge>,
    leases_lost: Counter,
    claims_lost: Counter,
    unmarked: Counter,
    empty_receives: Counter,
    renewed: Counter,
    not_renewed: Counter,
    queue: String,
    /// Those of its tenants, if they are counted and it has some: in a FIFO queue a group is an order.
    tenants: Option<TenantMetrics>,
    all: Arc<Families>,
    types: RwLock<HashMap<String, OfType, RandomState>>,
    /// The type that came first, which is found without a lock: most queues have no other.
    first_type: OnceLock<(String, OfType)>,
}

/// The metrics of one job type on one queue. Cloning gives another handle of the same metrics.
#[derive(Clone)]
struct OfType {
    running: Gauge,
    duration: Histogram,
    dwell: Histogram,
    stalled: Counter,
    last_attempts: Counter,
    acks: Counter,
    label: String,
}

impl QueueMetrics {
    /// Looks up those of `queue` among all metrics of the process.
    pub(super) fn new(all: &Arc<Families>, queue: &str) -> Self {
        // Present from the start, so that an alert can rely on them.
        for reason in PauseReason::ALL {
            all.set_paused(queue, reason, false);
        }
        let by_queue = ByQueue { queue: queue.to_owned() };
        let counts_tenants = all.counts_tenants.load(Ordering::Relaxed) && !is_fifo(queue);
        let renewals =
            |result| all.renewals.get_or_create(&ByResult { queue: queue.to_owned(), result }).clone();
        Self {
            pickup: all.pickups.get_or_create(&by_queue).clone(),
            in_hand: all.in_hand.get_or_create(&by_queue).clone(),
            oldest: all.oldest.for_queue(&by_queue),
            first_wait: all.first_waits.for_queue(&by_queue),
            leases_lost: all.leases_lost.get_or_create(&by_queue).clone(),
            claims_lost: all.claims_lost.get_or_create(&by_queue).clone(),
            unmarked: all.unmarked.get_or_create(&by_queue).clone(),
            empty_receives: all.empty_receives.get_or_create(&by_queue).clone(),
            renewed: renewals("ok"),
            not_renewed: renewals("failed"),
            queue: queue.to_owned(),
            tenants: counts_tenants.then(|| TenantMetrics::new(all, queue)),
            all: Arc::clone(all),
            types: RwLock::default(),
            first_type: OnceLock::new(),
        }
    }

    /// Uses the metrics of a type, `None` being an unknown one. They are lent and not shared: this is done several times a job.
    fn with_type<R>(&self, job_type: Option<&str>, use_metrics: impl FnOnce(&OfType) -> R) -> R {
        let name = job_type.unwrap_or(UNKNOWN_TYPE);
        if let Some((first, metrics)) = self.first_type.get()
            && first == name
        {
            return use_metrics(metrics);
        }
        let known = self.types.read().expect("nothing panics while it is held");
        if let Some(metrics) = known.get(name) {
            return use_metrics(metrics);
        }
        let full = known.len() >= MAX_TYPES;
        drop(known);
        let metrics = self.make_type(if full { OTHER_TYPE } else { name });
        let result = use_metrics(&metrics);
        if !full {
            self.first_type.get_or_init(|| (name.to_owned(), metrics.clone()));
            self.types.write().expect("nothing panics while it is held").insert(name.to_owned(), metrics);
        }
        result
    }

    fn make_type(&self, label: &str) -> OfType {
        let by_type = ByType { queue: self.queue.clone(), r#type: label.to_owned() };
        let all = &self.all;
        // From the start, so that the first duplicate is an increase.
        for cause in [DuplicateCause::Redelivered, DuplicateCause::Duplicate, DuplicateCause::Replayed] {
            drop(self.deduplicated_by(label, cause));
        }
        let acks = self.jobs(label, &Outcome::Ack);
        all.cost.add_acks(&self.queue, label, &acks);
        OfType {
            running: all.running.get_or_create(&by_type).clone(),
            duration: all.durations.get_or_create(&by_type).clone(),
            dwell: all.dwells.get_or_create(&by_type).clone(),
            stalled: all.stalled.get_or_create(&by_type).clone(),
            last_attempts: all.last_attempts.get_or_create(&by_type).clone(),
            acks,
            label: label.to_owned(),
        }
    }

    fn deduplicated_by(&self, label: &str, cause: DuplicateCause) -> Counter {
        let (queue, r#type) = (self.queue.clone(), label.to_owned());
        let labels = ByCause { queue, r#type, cause: cause.label() };
        self.all.deduplicated.get_or_create(&labels).clone()
    }

    fn jobs(&self, label: &str, outcome: &Outcome) -> Counter {
        let (queue, r#type) = (self.queue.clone(), label.to_owned());
        let labels = ByOutcome { queue, r#type, outcome: outcome.label() };
        self.all.jobs.get_or_create(&labels).clone()
    }

    fn note(&self, note: &LedgerEvent) {
        let (counted, run) = (note.counted_outcome(), note.finished_run());
        if counted.is_some() || run.is_some() {
            let dwell = dwell(note);
            // Both have the same type.
            let job_type = run.map_or_else(|| counted.and_then(|(job_type, _)| job_type), RunFacts::job_type);
            self.with_type(job_type, |of| {
                if let Some((_, outcome)) = counted {
                    self.outcome(of, outcome);
                }
                if let Some(run) = run {
                    self.ran(of, run, dwell);
                    if let LedgerEvent::Decided { message, .. } = note {
                        let took = run.ending.ran().then_some(run.took);
                        self.all.exemplars.ran((&self.queue, &of.label), message, took, dwell);
                    }
                }
            });
            if let (LedgerEvent::Decided { message, .. }, Some(dwell)) = (note, dwell)
                && let (Some(tenants), Some(tenant)) = (&self.tenants, &message.group)
            {
                tenants.done(tenant, dwell);
            }
        }
        if let Some((job_type, cause)) = note.deduplicated() {
            self.with_type(job_type, |of| self.deduplicated_by(&of.label, cause).inc());
        }
        if let Some((job_type, reason)) = note.returned_for_limit() {
            self.all.limit_returned.get_or_create(&self.limit(job_type, reason)).inc();
        }
        if let LedgerEvent::HeldForLimit { job_type, reason, before, count } = note {
            let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
            // Several types may share the label of the types beyond the bound.
            let gauge = self.all.limit_waiting.get_or_create(&self.limit(Some(job_type), *reason)).clone();
            gauge.inc_by(number(*count) - number(*before));
        }
        if let LedgerEvent::Stalled { claim, .. } = note {
            self.with_type(Some(claim.identity.job_type()), |of| of.stalled.inc());
        }
        match *note {
            LedgerEvent::Renewed(count) => {
                self.renewed.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
            }
            LedgerEvent::RenewalFailed { .. } => drop(self.not_renewed.inc()),
            LedgerEvent::LeaseLost(_) => drop(self.leases_lost.inc()),
            LedgerEvent::ClaimLost(_) => drop(self.claims_lost.inc()),
            LedgerEvent::Unmarked { .. } => drop(self.unmarked.inc()),
            LedgerEvent::Received { count, oldest_sent_at } => {
                let now = Instant::now();
                if count == 0 {
                    self.empty_receives.inc();
                    self.first_wait.received(None, now);
                }
                self.oldest.received(oldest_sent_at.map(age), now);
            }
            LedgerEvent::Paused(pause) => self.all.set_paused(&self.queue, pause.reason, true),
            LedgerEvent::Resumed { pause, .. } => self.all.set_paused(&self.queue, pause.reason, false),
            _ => {}
        }
    }

    fn limit(&self, job_type: Option<&str>, reason: LimitReason) -> ByLimit {
        let r#type = self.with_type(job_type, |of| of.label.clone());
        ByLimit { queue: self.queue.clone(), r#type, reason: reason.label() }
    }

    fn outcome(&self, of: &OfType, outcome: &Outcome) {
        match outcome {
            Outcome::Ack => of.acks.inc(),
            _ => self.jobs(&of.label, outcome).inc(),
        };
    }

    fn ran(&self, of: &OfType, run: &RunFacts, dwell: Option<Duration>) {
        if run.ending.ran() {
            of.duration.observe(run.took.as_secs_f64());
        }
        if let Some(dwell) = dwell {
            of.dwell.observe(dwell.as_secs_f64());
        }
        if let Some(class) = run.ending.class() {
            let (queue, r#type) = (self.queue.clone(), of.label.clone());
            self.all.failures.get_or_create(&ByClass { queue, r#type, class: class.label() }).inc();
        }
        if run.last_attempt {
            of.last_attempts.inc();
        }
    }
}

impl Observer for QueueMetrics {
    fn observe(&self, event: &Event<'_>) {
        match *event {
            Event::RunStarted { attempt } => {
                if let Some(pickup) = pickup_delay(attempt) {
                    self.pickup.observe(pickup.as_secs_f64());
                    if attempt.message().receive_count <= 1 {
                        self.first_wait.received(Some(pickup), Instant::now());
                    }
                }
                if let (Some(tenants), Some(tenant)) = (&self.tenants, &attempt.message().group) {
                    tenants.started(tenant);
                }
                self.with_type(Some(attempt.job_type()), |of| of.running.inc());
            }
            Event::RunEnded { attempt, .. } => {
                self.with_type(Some(attempt.job_type()), |of| of.running.dec());
            }
            Event::InHand { count, .. } => drop(self.in_hand.set(i64::try_from(count).unwrap_or(i64::MAX))),
            Event::Ledger { note, .. } => self.note(note),
            Event::DeadJobHook { succeeded, .. } => self.all.dlq.dead_job_hook(&self.queue, succeeded),
            Event::SqsRequest { .. } | Event::StoreRequest { .. } | Event::SqsClientReplaced => {
                self.all.observe_request(event);
            }
            _ => {}
        }
    }
}
