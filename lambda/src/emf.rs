//! The metrics of invocations in CloudWatch's embedded metric format.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drumline::core::{LedgerEvent, RunFacts};
use drumline::message::Message;
use drumline::run::{Event, Observer};
use drumline_runtime::{EmfLines, SqsPrice, TenantLabels, TypeLabels, age, dwell, pickup_delay};
use tokio::time::Instant;

/// Dimensions and their values.
pub(crate) type Labels = BTreeMap<&'static str, String>;

/// Counts by metric and labels: of one invocation, or of the process since the last line was written.
#[derive(Default)]
pub(crate) struct Emf(Mutex<BTreeMap<(&'static str, Labels), Vec<f64>>>);

impl Emf {
    /// Returns an observer that counts for one queue, whose job types have these labels.
    pub(crate) fn for_queue(
        self: &Arc<Self>,
        queue: &str,
        types: &Arc<TypeLabels>,
        tenants: Option<&Arc<TenantLabels>>,
    ) -> QueueMetrics {
        let (types, tenants) = (Arc::clone(types), tenants.cloned());
        QueueMetrics { queue: queue.to_owned(), types, tenants, emf: Arc::clone(self) }
    }

    /// Moves all counts of `other` here, which leaves `other` empty.
    pub(crate) fn absorb(&self, other: &Self) {
        let counted = std::mem::take(&mut *other.0.lock().unwrap_or_else(PoisonError::into_inner));
        for ((name, labels), values) in counted {
            for value in values {
                self.add(name, labels.clone(), value);
            }
        }
    }

    /// Adds what the done jobs cost in the function's own requests, if there were both.
    pub(crate) fn add_cost(&self, price: SqsPrice) {
        let total = |name: &str, outcome: Option<&str>| {
            let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let has_outcome = |labels: &Labels| {
                labels.get("outcome").map(String::as_str).is_none_or(|label| Some(label) == outcome)
            };
            let of_name =
                counted.iter().filter(|((metric, labels), _)| *metric == name && has_outcome(labels));
            of_name.flat_map(|(_, values)| values).sum::<f64>()
        };
        let (requests, done) =
            (total("drumline_sqs_requests_total", None), total("drumline_jobs_total", Some("ack")));
        if requests > 0.0
            && let Some(cost) = price.cost(whole(requests), whole(done))
        {
            self.add("drumline_sqs_requests_per_message", Labels::new(), cost.requests_per_message);
            self.add("drumline_sqs_dollars_per_million_jobs", Labels::new(), cost.dollars_per_million);
        }
    }

    /// Calls `count` with each metric, its labels and its values.
    #[cfg(feature = "otel")]
    pub(crate) fn for_each(&self, mut count: impl FnMut(&'static str, &Labels, &[f64])) {
        for ((name, labels), values) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            count(name, labels, values);
        }
    }

    /// Writes the counts to standard output.
    pub(crate) fn print(&self) {
        self.lines().print();
    }

    fn lines(&self) -> EmfLines {
        let mut lines = EmfLines::default();
        for ((name, labels), values) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let values: Vec<(f64, u64)> = values.iter().map(|value| (*value, 1)).collect();
            lines.add(name, labels.iter().map(|(label, value)| (*label, &**value)), &values);
        }
        lines
    }

    fn add(&self, name: &'static str, labels: Labels, value: f64) {
        let mut metrics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let values = metrics.entry((name, labels)).or_default();
        match values.last_mut() {
            Some(sum) if !is_distribution(name) => *sum += value,
            _ => values.push(value),
        }
    }
}

/// Returns true if values are kept separately, for CloudWatch's percentiles. Durations are; counts are added up.
fn is_distribution(name: &str) -> bool {
    name.ends_with("_seconds")
}

/// The metrics of one queue.
pub(crate) struct QueueMetrics {
    queue: String,
    types: Arc<TypeLabels>,
    /// The labels of its tenants, if tenants are counted.
    tenants: Option<Arc<TenantLabels>>,
    emf: Arc<Emf>,
}

/// Counts events of the process that belong to no queue: requests to SQS and to the store.
impl Observer for Emf {
    fn observe(&self, event: &Event<'_>) {
        match *event {
            Event::SqsRequest { action, result } => {
                let labels = labels([("action", action.label()), ("result", result.label())]);
                self.add("drumline_sqs_requests_total", labels, 1.0);
            }
            Event::StoreRequest { operation, result } => {
                let labels = labels([("operation", operation.label()), ("result", result.label())]);
                self.add("drumline_store_requests_total", labels, 1.0);
            }
            Event::SqsClientReplaced => self.add("drumline_sqs_client_replaced_total", Labels::new(), 1.0),
            _ => {}
        }
    }
}

/// A sum of counts as the number that it is.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a sum of counts")]
fn whole(count: f64) -> u64 {
    count as u64
}

fn labels<const N: usize>(labels: [(&'static str, &str); N]) -> Labels {
    labels.into_iter().map(|(label, value)| (label, value.to_owned())).collect()
}

impl QueueMetrics {
    fn labels<const N: usize>(&self, more: [(&'static str, &str); N]) -> Labels {
        let mut labels = labels(more);
        labels.insert("queue", self.queue.clone());
        labels
    }

    /// Records the age of the oldest message of a batch.
    pub(crate) fn received(&self, messages: &[Message]) {
        if let Some(sent_at) = messages.iter().filter_map(|message| message.sent_at).min() {
            self.emf.add("drumline_oldest_message_age_seconds", self.labels([]), age(sent_at).as_secs_f64());
        }
    }

    fn note(&self, note: &LedgerEvent) {
        if let Some((job_type, outcome)) = note.counted_outcome() {
            let labels = self.labels([("type", self.types.label(job_type)), ("outcome", outcome.label())]);
            self.emf.add("drumline_jobs_total", labels, 1.0);
        }
        if let Some(run) = note.finished_run() {
            let dwell = dwell(note);
            self.ran(run, dwell);
            if let (LedgerEvent::Decided { message, .. }, Some(dwell)) = (note, dwell)
                && let (Some(tenants), Some(tenant)) = (&self.tenants, &message.group)
            {
                let labels = self.labels([("tenant", tenants.label(tenant))]);
                self.emf.add("drumline_tenant_dwell_seconds", labels, dwell.as_secs_f64());
            }
        }
        if let Some((job_type, reason)) = note.returned_for_limit() {
            let labels = self.labels([("type", self.types.label(job_type)), ("reason", reason.label())]);
            self.emf.add("drumline_limit_returned_total", labels, 1.0);
        }
        if let Some((job_type, cause)) = note.deduplicated() {
            let labels = self.labels([("type", self.types.label(job_type)), ("cause", cause.label())]);
            self.emf.add("drumline_deduplicated_total", labels, 1.0);
        }
        if let LedgerEvent::Stalled { claim, .. } = note {
            let labels = self.labels([("type", self.types.label(Some(claim.identity.job_type())))]);
            self.emf.add("drumline_jobs_stalled_total", labels, 1.0);
        }
        match *note {
            LedgerEvent::Renewed(count) => self.renewals(count, "ok"),
            LedgerEvent::RenewalFailed { .. } => self.renewals(1, "failed"),
            LedgerEvent::LeaseLost(_) => self.emf.add("drumline_leases_lost_total", self.labels([]), 1.0),
            LedgerEvent::ClaimLost(_) => self.emf.add("drumline_claims_lost_total", self.labels([]), 1.0),
            LedgerEvent::Unmarked { .. } => self.emf.add("drumline_unmarked_total", self.labels([]), 1.0),
            _ => {}
        }
    }

    fn ran(&self, run: &RunFacts, dwell: Option<Duration>) {
        let job_type = self.types.label(run.job_type());
        let labels = self.labels([("type", job_type)]);
        if let Some(dwell) = dwell {
            self.emf.add("drumline_job_dwell_seconds", labels.clone(), dwell.as_secs_f64());
        }
        if run.ending.ran() {
            self.emf.add("drumline_job_duration_seconds", labels, run.took.as_secs_f64());
        }
        if let Some(class) = run.ending.class() {
            let labels = self.labels([("type", job_type), ("class", class.label())]);
            self.emf.add("drumline_failures_total", labels, 1.0);
        }
        if run.last_attempt {
            self.emf.add("drumline_last_attempts_total", self.labels([("type", job_type)]), 1.0);
        }
    }

    fn renewals(&self, count: usize, result: &str) {
        let count = u32::try_from(count).map_or(f64::from(u32::MAX), f64::from);
        self.emf.add("drumline_lease_renewals_total", self.labels([("result", result)]), count);
    }
}

impl Observer for QueueMetrics {
    fn observe(&self, event: &Event<'_>) {
        match *event {
            Event::RunStarted { attempt } => {
                if let Some(pickup) = pickup_delay(attempt) {
                    self.emf.add("drumline_pickup_delay_seconds", self.labels([]), pickup.as_secs_f64());
                }
                if let (Some(tenants), Some(tenant)) = (&self.tenants, &attempt.message().group) {
                    let start = tenants.started(tenant, Instant::now().into_std());
                    self.emf.add("drumline_tenant_jobs_total", self.labels([("tenant", start.label())]), 1.0);
                }
            }
            Event::Ledger { note, .. } => self.note(note),
            Event::DeadJobHook { succeeded, .. } => {
                let result = if succeeded { "ok" } else { "failed" };
                self.emf.add("drumline_dead_job_hooks_total", self.labels([("result", result)]), 1.0);
            }
            Event::SqsRequest { .. } | Event::StoreRequest { .. } | Event::SqsClientReplaced => {
                self.emf.observe(event);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "emf_tests.rs"]
mod tests;
