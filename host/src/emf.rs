//! Metrics as lines of standard output in CloudWatch's embedded metric format, under the same names as at a consumer's
//! `/metrics`. See [the specification](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tracing::warn;

use crate::clock::{millis, since_epoch};

/// The namespace in CloudWatch.
const NAMESPACE: &str = "Drumline";

/// A line may hold this many values of one metric.
const MAX_VALUES: usize = 100;

/// A line may hold this many metrics.
const MAX_METRICS: usize = 100;

/// A dimension's value may be this long.
const MAX_DIMENSION: usize = 1024;

/// The dimension of an empty label: CloudWatch has no empty dimensions.
const NO_VALUE: &str = "-";

/// Lines of metrics that have not been written yet.
#[derive(Debug, Default)]
pub struct EmfLines(Vec<Line>);

impl EmfLines {
    /// Adds values of a metric, each with the number of times that it occurred. The labels become its dimensions.
    pub fn add<'a>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        values: &[(f64, u64)],
    ) {
        let labels: BTreeMap<String, String> =
            labels.into_iter().map(|(label, value)| (label.to_owned(), dimension(value))).collect();
        for values in values.chunks(MAX_VALUES) {
            let index = self.0.iter().position(|line| line.has_room(name, &labels)).unwrap_or_else(|| {
                self.0.push(Line::default());
                self.0.len() - 1
            });
            self.0[index].add(name, &labels, values);
        }
    }

    /// Writes the lines to standard output, each in one write, with the current time. A failure is logged.
    pub fn print(self) {
        // Locked to the last line: those of others must not come in between, and a line must not be split.
        if let Err(error) = self.write_to(io::stdout().lock()) {
            warn!(%error, "metrics could not be written");
        }
    }

    fn write_to(self, mut out: impl Write) -> io::Result<()> {
        for line in self.json(since_epoch()) {
            let mut text = serde_json::to_vec(&line)?;
            text.push(b'\n');
            out.write_all(&text)?;
        }
        out.flush()
    }

    /// Returns the lines as of `now`, the time since the Unix epoch.
    pub fn json(self, now: Duration) -> Vec<Value> {
        self.0.into_iter().map(|line| line.json(now)).collect()
    }
}

/// Returns a label's value as CloudWatch takes it: ASCII without control characters. It rejects a whole line for others, and a type
/// may come from a message.
fn dimension(value: &str) -> String {
    if value.trim().is_empty() {
        return NO_VALUE.to_owned();
    }
    let printable = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    value.chars().take(MAX_DIMENSION).map(printable).collect()
}

fn unit(name: &str) -> &'static str {
    if name.ends_with("_seconds") { "Seconds" } else { "Count" }
}

/// A line in progress. It holds one value of a label, and a metric once; what differs goes to another line.
#[derive(Debug, Default)]
struct Line {
    labels: BTreeMap<String, String>,
    /// The names of metrics by their dimensions.
    metrics: BTreeMap<Vec<String>, BTreeSet<String>>,
    values: Map<String, Value>,
}

impl Line {
    fn has_room(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        let agrees = |(label, value): (&String, &String)| {
            self.labels.get(label).is_none_or(|existing| existing == value)
        };
        self.values.len() < MAX_METRICS && !self.values.contains_key(name) && labels.iter().all(agrees)
    }

    fn add(&mut self, name: &str, labels: &BTreeMap<String, String>, values: &[(f64, u64)]) {
        self.labels.extend(labels.iter().map(|(label, value)| (label.clone(), value.clone())));
        self.metrics.entry(labels.keys().cloned().collect()).or_default().insert(name.to_owned());
        self.values.insert(name.to_owned(), target(values));
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
        let mut line = self.values;
        line.extend(self.labels.into_iter().map(|(label, value)| (label, Value::String(value))));
        line.insert("_aws".to_owned(), json!({ "Timestamp": millis(now), "CloudWatchMetrics": directives }));
        Value::Object(line)
    }
}

/// A number or an array of numbers, as the specification has it; with counts, what AWS's own writers of the format
/// ([metrique](https://github.com/awslabs/metrique), the exporter of OpenTelemetry's collector) write for distributions.
fn target(values: &[(f64, u64)]) -> Value {
    if values.iter().any(|(_, count)| *count != 1) {
        let (values, counts): (Vec<f64>, Vec<u64>) = values.iter().copied().unzip();
        return json!({ "Values": values, "Counts": counts });
    }
    match values {
        [(value, _)] => json!(value),
        _ => values.iter().map(|(value, _)| json!(value)).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Duration = Duration::from_millis(1_800_000_000_123);

    #[test]
    fn metrics_whose_labels_agree_share_a_line() {
        let mut lines = EmfLines::default();
        lines.add("drumline_queue_depth", [("queue", "jobs"), ("state", "visible")], &[(3.0, 1)]);
        lines.add("drumline_dlq_depth", [("queue", "jobs")], &[(0.0, 1)]);
        let durations = [(0.5, 2), (1.5, 1)];
        lines.add("drumline_job_duration_seconds", [("queue", "jobs"), ("type", "a.b")], &durations);
        let expected = json!({
            "queue": "jobs", "state": "visible", "type": "a.b",
            "drumline_queue_depth": 3.0,
            "drumline_dlq_depth": 0.0,
            "drumline_job_duration_seconds": { "Values": [0.5, 1.5], "Counts": [2, 1] },
            "_aws": { "Timestamp": 1_800_000_000_123_u64, "CloudWatchMetrics": [
                { "Namespace": "Drumline", "Dimensions": [["queue"]],
                  "Metrics": [{ "Name": "drumline_dlq_depth", "Unit": "Count" }] },
                { "Namespace": "Drumline", "Dimensions": [["queue", "state"]],
                  "Metrics": [{ "Name": "drumline_queue_depth", "Unit": "Count" }] },
                { "Namespace": "Drumline", "Dimensions": [["queue", "type"]],
                  "Metrics": [{ "Name": "drumline_job_duration_seconds", "Unit": "Seconds" }] },
            ] },
        });
        assert_eq!(lines.json(NOW), [expected]);
    }

    #[test]
    fn a_metric_with_other_labels_is_on_a_line_of_its_own() {
        let mut lines = EmfLines::default();
        for state in ["visible", "in_flight"] {
            lines.add("drumline_queue_depth", [("queue", "jobs"), ("state", state)], &[(1.0, 1)]);
        }
        let states: Vec<Value> = lines.json(NOW).into_iter().map(|mut line| line["state"].take()).collect();
        assert_eq!(states, ["visible", "in_flight"]);
    }

    #[test]
    fn a_line_has_at_most_a_hundred_metrics_and_values_of_each() {
        let mut lines = EmfLines::default();
        lines.add("drumline_pickup_delay_seconds", [("queue", "jobs")], &[(1.0, 1); 250]);
        let values = lines.json(NOW).into_iter();
        let values = values.map(|line| line["drumline_pickup_delay_seconds"].as_array().unwrap().len());
        assert_eq!(values.collect::<Vec<_>>(), [100, 100, 50]);

        let mut lines = EmfLines::default();
        for n in 0..101 {
            lines.add(&format!("metric{n}"), [("queue", "jobs")], &[(1.0, 1)]);
        }
        assert_eq!(lines.json(NOW).len(), 2);
    }

    #[test]
    fn a_dimension_is_printable_ascii_and_never_empty() {
        let mut lines = EmfLines::default();
        lines.add("metric", [("queue", ""), ("type", "größe\n!")], &[(1.0, 1)]);
        let line = lines.json(NOW).remove(0);
        assert_eq!((line["queue"].as_str(), line["type"].as_str()), (Some("-"), Some("gr??e?!")));
    }

    #[test]
    fn each_line_is_one_write() {
        struct Writes(Vec<Vec<u8>>);
        impl Write for &mut Writes {
            fn write(&mut self, text: &[u8]) -> io::Result<usize> {
                self.0.push(text.to_vec());
                Ok(text.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut writes = Writes(Vec::new());
        let mut lines = EmfLines::default();
        for queue in ["a", "b"] {
            lines.add("metric", [("queue", queue)], &[(1.0, 1)]);
        }
        lines.write_to(&mut writes).unwrap();
        assert_eq!(writes.0.len(), 2);
        assert!(writes.0.iter().all(|text| text.starts_with(b"{") && text.ends_with(b"}\n")));
    }
}
