//! Parses lines of CloudWatch's embedded metric format and checks them against
//! [the
//! specification](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

/// The maximum number of metrics in a directive, and of values of a metric.
const MOST: usize = 100;

/// The maximum number of dimensions of a metric.
const MOST_DIMENSIONS: usize = 30;

/// The maximum length of a line in bytes. CloudWatch Logs cuts longer lines.
const MOST_BYTES: usize = 256 * 1024;

/// The maximum length of a metric's name or a dimension's value.
const LONGEST_NAME: usize = 255;
const LONGEST_VALUE: usize = 1024;

/// One metric of a line.
#[derive(Debug, Clone)]
pub struct EmfMetric {
    /// Its name.
    pub name: String,
    /// Its dimensions.
    pub labels: BTreeMap<String, String>,
    /// Its values, each with its count.
    pub values: Vec<(f64, f64)>,
}

/// Parses lines of standard output. Each must conform to the specification.
pub fn emf_metrics(lines: &[String]) -> Vec<EmfMetric> {
    lines.iter().flat_map(|line| metrics_of(line)).collect()
}

/// Returns the sum of a metric's values with these labels.
pub fn emf_sum(metrics: &[EmfMetric], name: &str, labels: &[(&str, &str)]) -> f64 {
    let is_such = |metric: &&EmfMetric| {
        let has = |(label, value): &(&str, &str)| metric.labels.get(*label).is_some_and(|has| has == value);
        metric.name == name && labels.iter().all(has)
    };
    metrics.iter().filter(is_such).flat_map(|metric| &metric.values).map(|(value, count)| value * count).sum()
}

fn metrics_of(text: &str) -> Vec<EmfMetric> {
    assert!(text.len() < MOST_BYTES, "{} bytes", text.len());
    let line: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let line = line.as_object().unwrap_or_else(|| panic!("no object: {text}"));
    let metadata = object(&line["_aws"], &["Timestamp", "CloudWatchMetrics"], text);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = Duration::from_millis(metadata["Timestamp"].as_u64().unwrap_or_default());
    assert!(now.abs_diff(at) < Duration::from_secs(300), "{text}");
    let mut metrics = Vec::new();
    for directive in metadata["CloudWatchMetrics"].as_array().unwrap() {
        let directive = object(directive, &["Namespace", "Dimensions", "Metrics"], text);
        assert_eq!(directive["Namespace"], "Drumline", "{text}");
        let definitions = directive["Metrics"].as_array().unwrap();
        assert!((1..=MOST).contains(&definitions.len()), "{text}");
        for dimensions in directive["Dimensions"].as_array().unwrap() {
            let labels = labels(dimensions.as_array().unwrap(), line, text);
            for definition in definitions {
                let definition = object(definition, &["Name", "Unit"], text);
                let name = definition["Name"].as_str().unwrap();
                assert!(name.starts_with("drumline_") && name.len() <= LONGEST_NAME, "{text}");
                let unit = if name.ends_with("_seconds") { "Seconds" } else { "Count" };
                assert_eq!(definition["Unit"], unit, "{name}");
                let values = values(&line[name], text);
                metrics.push(EmfMetric { name: name.to_owned(), labels: labels.clone(), values });
            }
        }
    }
    let series: BTreeSet<_> = metrics.iter().map(|metric| (&metric.name, &metric.labels)).collect();
    assert_eq!(series.len(), metrics.len(), "a metric is there twice: {text}");
    metrics
}

/// Returns an object with exactly these members, as the specification requires.
fn object<'a>(value: &'a Value, members: &[&str], text: &str) -> &'a Map<String, Value> {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value} in {text}"));
    let (found, expected): (BTreeSet<_>, BTreeSet<_>) =
        (object.keys().map(|key| &**key).collect(), members.iter().copied().collect());
    assert_eq!(found, expected, "{text}");
    object
}

fn labels(dimensions: &[Value], line: &Map<String, Value>, text: &str) -> BTreeMap<String, String> {
    assert!(dimensions.len() <= MOST_DIMENSIONS, "{text}");
    let label = |name: &Value| {
        let name = name.as_str().unwrap();
        let value = line.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name} in {text}"));
        assert!((1..=LONGEST_VALUE).contains(&value.len()) && value.is_ascii(), "{name} in {text}");
        (name.to_owned(), value.to_owned())
    };
    dimensions.iter().map(label).collect()
}

/// Returns a number, an array of numbers, or numbers with their counts.
fn values(target: &Value, text: &str) -> Vec<(f64, f64)> {
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("no number: {value} in {text}"));
    let numbers = |value: &Value| -> Vec<f64> {
        let array = value.as_array().unwrap_or_else(|| panic!("no array: {value} in {text}"));
        array.iter().map(number).collect()
    };
    let values: Vec<(f64, f64)> = match target {
        Value::Array(_) => numbers(target).into_iter().map(|value| (value, 1.0)).collect(),
        Value::Object(_) => {
            let target = object(target, &["Values", "Counts"], text);
            let (values, counts) = (numbers(&target["Values"]), numbers(&target["Counts"]));
            assert_eq!(values.len(), counts.len(), "{text}");
            assert!(counts.iter().all(|count| *count >= 1.0), "{text}");
            values.into_iter().zip(counts).collect()
        }
        value => vec![(number(value), 1.0)],
    };
    assert!((1..=MOST).contains(&values.len()), "{} values in {text}", values.len());
    values
}
