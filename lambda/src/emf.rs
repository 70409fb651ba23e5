//! Metrics as log lines, in CloudWatch's embedded metric format, under the same names as at a consumer's `/metrics`. See
//! [the specification](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline::core::{LedgerEvent, RunFacts};
use drumline::run::{Event, Observer};
use drumline_runtime::pickup_delay;
use serde_json::{Map, Value, json};
use tracing::warn;

/// The namespace in CloudWatch.
const NAMESPACE: &str = "Drumline";

/// A line may hold this many values of one metric.
const MAX_VALUES: usize = 100;

/// The type label of what has no known type.
const UNKNOWN: &str = "unknown";

/// Dimensions and their values.
type Labels = BTreeMap<&'static str, String>;

/// Counts by metric and labels: of one invocation, or of the process since the last line was written.
#[derive(Default)]
pub(crate) struct Emf(Mutex<BTreeMap<(&'static str, Labels), Vec<f64>>>);

impl Emf {
    /// Counts for one queue.
    pub(crate) fn for_queue(self: &Arc<Self>, queue: &str) -> QueueMetrics {
        QueueMetrics { queue: queue.to_owned(), emf: Arc::clone(self) }
    }

    /// Takes over all counts of `other`, which is empty then.
    pub(crate) fn absorb(&self, other: &Self) {
        let counted = std::mem::take(&mut *other.0.lock().unwrap_or_else(PoisonError::into_inner));
        for ((name, labels), values) in counted {
            for value in values {
                self.add(name, labels.clone(), value);
            }
        }
    }

    /// Writes what was counted: a line, or a few where labels differ.
    pub(crate) fn write_to(&self, mut out: impl Write) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut text = Vec::new();
        for line in self.lines(now) {
            serde_json::to_writer(&mut text, &line).expect("writing to memory does not fail");
            text.push(b'\n');
        }
        // In one go: lines of invocations beside this one must not mix with these.
        if let Err(error) = out.write_all(&text).and_then(|()| out.flush()) {
            warn!(%error, "metrics could not be written");
        }
    }

    /// A line holds one value of a label, and a metric once: whatever differs in that goes to another line.
    fn lines(&self, now: Duration) -> Vec<Value> {
        let mut lines: Vec<Line> = Vec::new();
        for ((name, labels), values) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for values in values.chunks(MAX_VALUES) {
                let index = lines.iter().position(|line| line.has_room(name, labels)).unwrap_or_else(|| {
                    lines.push(Line::default());
                    lines.len() - 1
                });
                lines[index].add(name, labels, values);
            }
        }
        lines.into_iter().map(|line| line.json(now)).collect()
    }

    fn add(&self, name: &'static str, labels: Labels, value: f64) {
        let mut metrics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let values = metrics.entry((name, labels)).or_default();
        match values.last_mut() {
            Some(sum) if unit(name) == "Count" => *sum += value,
            _ => values.push(value),
        }
    }
}

/// Durations are told one by one, so that CloudWatch has their percentiles; counts are added up.
fn unit(name: &str) -> &'static str {
    if name.ends_with("_seconds") { "Seconds" } else { "Count" }
}

/// One line under way.
#[derive(Default)]
struct Line {
    labels: Labels,
    /// By their dimensions.
    metrics: BTreeMap<Vec<&'static str>, BTreeSet<&'static str>>,
    values: Map<String, Value>,
}

impl Line {
    fn has_room(&self, name: &str, labels: &Labels) -> bool {
        let agrees = |(label, value): (&&'static str, &String)| {
            self.labels.get(label).is_none_or(|existing| existing == value)
        };
        !self.values.contains_key(name) && labels.iter().all(agrees)
    }

    fn add(&mut self, name: &'static str, labels: &Labels, values: &[f64]) {
        self.labels.extend(labels.clone());
        self.metrics.entry(labels.keys().copied().collect()).or_default().insert(name);
        let value = if let [value] = values { json!(value) } else { json!(values) };
        self.values.insert(name.to_owned(), value);
    }

    fn json(self, now: Duration) -> Value {
        let directives: Vec<Value> = self
            .metrics
            .iter()
            .map(|(dimensions, names)| {
                let metrics: Vec<Value> =
                    names.iter().map(|name| json!({ "Name": name, "Unit": unit(name) })).collect();
                json!({ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics })
            })
            .collect();
        let timestamp = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let mut line = self.values;
        line.extend(self.labels.into_iter().map(|(label, value)| (label.to_owned(), Value::String(value))));
        line.insert("_aws".to_owned(), json!({ "Timestamp": timestamp, "CloudWatchMetrics": directives }));
        Value::Object(line)
    }
}

/// The metrics of one queue.
pub(crate) struct QueueMetrics {
    queue: String,
    emf: Arc<Emf>,
}

/// Counts what belongs to the process and to no queue: requests to SQS and to the store.
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
            _ => {}
        }
    }
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

    fn note(&self, note: &LedgerEvent) {
        if let Some((job_type, outcome)) = note.counted_outcome() {
            let labels = self.labels([("type", job_type.unwrap_or(UNKNOWN)), ("outcome", outcome.label())]);
            self.emf.add("drumline_jobs_total", labels, 1.0);
        }
        if let Some(run) = note.finished_run() {
            self.ran(run);
        }
        if let Some((job_type, cause)) = note.deduplicated() {
            let labels = self.labels([("type", job_type.unwrap_or(UNKNOWN)), ("cause", cause.label())]);
            self.emf.add("drumline_deduplicated_total", labels, 1.0);
        }
        if let LedgerEvent::Stalled { claim, .. } = note {
            let labels = self.labels([("type", claim.identity.job_type())]);
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

    fn ran(&self, run: &RunFacts) {
        let job_type = run.job_type().unwrap_or(UNKNOWN);
        let labels = self.labels([("type", job_type)]);
        self.emf.add("drumline_job_duration_seconds", labels, run.took.as_secs_f64());
        if let Some(class) = run.ending.class() {
            let labels = self.labels([("type", job_type), ("class", class.label())]);
            self.emf.add("drumline_failures_total", labels, 1.0);
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
            }
            Event::Ledger { note, .. } => self.note(note),
            Event::SqsRequest { .. } | Event::StoreRequest { .. } => self.emf.observe(event),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "emf_tests.rs"]
mod tests;
