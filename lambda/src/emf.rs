//! Metrics as log lines, in CloudWatch's embedded metric format, under the same names as at a consumer's `/metrics`. See
//! [the specification](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline::DuplicateCause;
use drumline_host::QueueMetrics;
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

/// What is counted in one invocation.
#[derive(Default)]
pub(crate) struct Emf(Mutex<BTreeMap<(&'static str, Labels), Vec<f64>>>);

impl Emf {
    /// Counts for one queue.
    pub(crate) fn of_queue(self: &Arc<Self>, queue: &str) -> OfQueue {
        OfQueue { queue: queue.to_owned(), emf: Arc::clone(self) }
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
pub(crate) struct OfQueue {
    queue: String,
    emf: Arc<Emf>,
}

impl OfQueue {
    fn labels<const N: usize>(&self, more: [(&'static str, &str); N]) -> Labels {
        let more = more.into_iter().map(|(label, value)| (label, value.to_owned()));
        more.chain([("queue", self.queue.clone())]).collect()
    }
}

impl QueueMetrics for OfQueue {
    fn started(&self, _job_type: &str, pickup: Option<Duration>) {
        if let Some(pickup) = pickup {
            self.emf.add("drumline_pickup_delay_seconds", self.labels([]), pickup.as_secs_f64());
        }
    }

    fn ran(&self, job_type: Option<&str>, took: Duration, failure_class: Option<&'static str>) {
        let job_type = job_type.unwrap_or(UNKNOWN);
        let labels = self.labels([("type", job_type)]);
        self.emf.add("drumline_job_duration_seconds", labels, took.as_secs_f64());
        if let Some(class) = failure_class {
            let labels = self.labels([("type", job_type), ("class", class)]);
            self.emf.add("drumline_failures_total", labels, 1.0);
        }
    }

    fn outcome(&self, job_type: Option<&str>, outcome: &'static str) {
        let labels = self.labels([("type", job_type.unwrap_or(UNKNOWN)), ("outcome", outcome)]);
        self.emf.add("drumline_jobs_total", labels, 1.0);
    }

    fn deduplicated(&self, job_type: Option<&str>, cause: DuplicateCause) {
        let labels = self.labels([("type", job_type.unwrap_or(UNKNOWN)), ("cause", cause.label())]);
        self.emf.add("drumline_deduplicated_total", labels, 1.0);
    }

    fn renewals(&self, count: usize, renewed: bool) {
        let result = if renewed { "ok" } else { "failed" };
        let count = u32::try_from(count).map_or(f64::from(u32::MAX), f64::from);
        self.emf.add("drumline_lease_renewals_total", self.labels([("result", result)]), count);
    }

    fn lease_lost(&self) {
        self.emf.add("drumline_leases_lost_total", self.labels([]), 1.0);
    }

    fn request(&self, action: &'static str, result: &'static str) {
        let labels = [("action", action), ("result", result)];
        let labels = labels.into_iter().map(|(label, value)| (label, value.to_owned())).collect();
        self.emf.add("drumline_sqs_requests_total", labels, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_millis(1_800_000_000_123);

    #[test]
    fn a_common_batch_is_one_line() {
        let emf = Arc::new(Emf::default());
        let queue = emf.of_queue("jobs");
        for _ in 0..2 {
            queue.started("a.b", Some(Duration::from_millis(1500)));
            queue.ran(Some("a.b"), Duration::from_millis(250), None);
            queue.outcome(Some("a.b"), "ack");
        }
        let expected = json!({
            "queue": "jobs", "type": "a.b", "outcome": "ack",
            "drumline_jobs_total": 2.0,
            "drumline_job_duration_seconds": [0.25, 0.25],
            "drumline_pickup_delay_seconds": [1.5, 1.5],
            "_aws": { "Timestamp": 1_800_000_000_123_u64, "CloudWatchMetrics": [
                { "Namespace": "Drumline", "Dimensions": [["outcome", "queue", "type"]],
                  "Metrics": [{ "Name": "drumline_jobs_total", "Unit": "Count" }] },
                { "Namespace": "Drumline", "Dimensions": [["queue"]],
                  "Metrics": [{ "Name": "drumline_pickup_delay_seconds", "Unit": "Seconds" }] },
                { "Namespace": "Drumline", "Dimensions": [["queue", "type"]],
                  "Metrics": [{ "Name": "drumline_job_duration_seconds", "Unit": "Seconds" }] },
            ] },
        });
        assert_eq!(emf.lines(NOW), [expected]);
    }

    #[test]
    fn labels_that_differ_are_on_lines_of_their_own() {
        let emf = Arc::new(Emf::default());
        let queue = emf.of_queue("jobs");
        queue.outcome(Some("a"), "ack");
        queue.outcome(Some("b"), "retry");
        queue.ran(Some("b"), Duration::from_secs(1), Some("panicked"));
        queue.request("ChangeMessageVisibilityBatch", "ok");
        let lines = emf.lines(NOW);
        let told = |line: &Value| {
            let of = |key: &str| line.get(key).and_then(Value::as_str).map(str::to_owned);
            (of("type"), of("outcome"), of("class"), line.get("drumline_jobs_total").is_some())
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines.iter().any(|line| told(line) == (some("b"), some("retry"), some("panicked"), true)));
    }

    #[test]
    fn a_line_holds_a_hundred_values() {
        let emf = Arc::new(Emf::default());
        for _ in 0..250 {
            emf.of_queue("jobs").ran(Some("a"), Duration::from_secs(1), None);
        }
        let counts: Vec<usize> = emf
            .lines(NOW)
            .iter()
            .map(|line| line["drumline_job_duration_seconds"].as_array().map_or(1, Vec::len))
            .collect();
        assert_eq!(counts, [100, 100, 50]);
    }

    #[test]
    fn nothing_counted_is_nothing_written() {
        let mut out = Vec::new();
        Emf::default().write_to(&mut out);
        assert!(out.is_empty());
    }
}
