//! Metrics in the log, in CloudWatch's embedded metric format.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline_tests::{FunctionLaunch, LocalQueue, Record, Setup, eventually};
use serde_json::Value;

use crate::apps::{obedient, run, scene};

/// The most metrics of a line, and the most values of a metric in a line.
const MOST: usize = 100;

/// The most dimensions of a metric.
const MOST_DIMENSIONS: usize = 30;

/// One metric of a line.
#[derive(Debug, Clone)]
struct Metric {
    name: String,
    unit: String,
    labels: BTreeMap<String, String>,
    values: Vec<f64>,
}

/// Reads a line as CloudWatch does, and checks it against the specification's bounds.
fn metrics_of(line: &str) -> Vec<Metric> {
    let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = Duration::from_millis(line["_aws"]["Timestamp"].as_u64().unwrap_or_default());
    assert!(now.abs_diff(at) < Duration::from_secs(300), "{line}");
    let mut metrics = Vec::new();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        assert!(directive["Namespace"].as_str().is_some_and(|text| !text.is_empty()), "{line}");
        for dimensions in directive["Dimensions"].as_array().unwrap() {
            let dimensions = dimensions.as_array().unwrap();
            assert!(dimensions.len() <= MOST_DIMENSIONS);
            let label = |name: &Value| {
                let name = name.as_str().unwrap();
                let value = line[name].as_str().unwrap_or_else(|| panic!("no {name} in {line}"));
                assert!((1..=1024).contains(&value.len()), "{name} in {line}");
                (name.to_owned(), value.to_owned())
            };
            let labels: BTreeMap<_, _> = dimensions.iter().map(label).collect();
            for metric in directive["Metrics"].as_array().unwrap() {
                let name = metric["Name"].as_str().unwrap().to_owned();
                let values = match &line[&name] {
                    Value::Array(values) => values.clone(),
                    value => vec![value.clone()],
                };
                let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{name}: {line}"));
                let values: Vec<f64> = values.iter().map(number).collect();
                assert!((1..=MOST).contains(&values.len()), "{name} has {} values", values.len());
                let unit = metric["Unit"].as_str().unwrap_or_default().to_owned();
                metrics.push(Metric { name, unit, labels: labels.clone(), values });
            }
        }
    }
    assert!((1..=MOST).contains(&metrics.len()), "{line}");
    metrics
}

fn all(lines: &[String]) -> Vec<Metric> {
    lines.iter().flat_map(|line| metrics_of(line)).collect()
}

/// The sum of a metric's values where its labels are these.
fn sum(metrics: &[Metric], name: &str, labels: &[(&str, &str)]) -> f64 {
    let is_such = |metric: &&Metric| {
        let has = |(label, value): &(&str, &str)| metric.labels.get(*label).is_some_and(|has| has == value);
        metric.name == name && labels.iter().all(has)
    };
    metrics.iter().filter(is_such).flat_map(|metric| &metric.values).sum()
}

#[tokio::test]
async fn a_batch_is_counted_under_the_names_of_the_consumer() {
    let (_app, queue, function) = scene(Setup::default()).await;
    let batch = queue.batch(&["200 a", "503 b", "422 c", "200 d", "200 e"]).await;
    run(&function, &batch).await;
    eventually("metrics are written", async || !function.stdout().is_empty()).await;
    run(&function, &[]).await;

    let metrics = all(&function.stdout());
    let names: BTreeSet<&str> = metrics.iter().map(|metric| &*metric.name).collect();
    for name in [
        "drumline_jobs_total",
        "drumline_job_duration_seconds",
        "drumline_pickup_delay_seconds",
        "drumline_failures_total",
        "drumline_sqs_requests_total",
        "drumline_store_requests_total",
    ] {
        assert!(names.contains(name), "{name} in {names:?}");
    }
    let known = |name: &&&str| name.starts_with("drumline_");
    assert_eq!(names.iter().filter(known).count(), names.len(), "{names:?}");
    for metric in &metrics {
        let unit = if metric.name.ends_with("_seconds") { "Seconds" } else { "Count" };
        assert_eq!(metric.unit, unit, "{}", metric.name);
    }
    let for_queue = ("queue", &*queue.name);
    let total =
        |outcome| sum(&metrics, "drumline_jobs_total", &[for_queue, ("type", "raw"), ("outcome", outcome)]);
    assert!((total("ack") - 3.0).abs() < 0.1, "{metrics:?}");
    assert!((total("retry") - 1.0).abs() < 0.1, "{metrics:?}");
    assert!((sum(&metrics, "drumline_jobs_total", &[for_queue]) - 5.0).abs() < 0.1, "{metrics:?}");
    let failures = |class| sum(&metrics, "drumline_failures_total", &[for_queue, ("class", class)]);
    assert!((failures("retry_asked") - 1.0).abs() < 0.1, "{metrics:?}");
    assert!((failures("rejected") - 1.0).abs() < 0.1, "{metrics:?}");
    let durations = metrics.iter().filter(|metric| metric.name == "drumline_job_duration_seconds");
    let durations: Vec<f64> = durations.flat_map(|metric| metric.values.clone()).collect();
    assert_eq!(durations.len(), 5);
    assert!(durations.iter().all(|secs| (0.0..30.0).contains(secs)), "{durations:?}");
    let changes = [("action", "ChangeMessageVisibilityBatch"), ("result", "ok")];
    assert!(sum(&metrics, "drumline_sqs_requests_total", &changes) >= 1.0, "{metrics:?}");
}

#[tokio::test]
async fn requests_to_the_store_are_counted_once() {
    let (_app, queue, function) = scene(Setup::default()).await;
    for invocations in [1.0, 2.0] {
        let batch = queue.batch(&["200 a", "503 b", "200 c"]).await;
        run(&function, &batch).await;
        let count = |operation, result| {
            let labels = [("operation", operation), ("result", result)];
            sum(&all(&function.stdout()), "drumline_store_requests_total", &labels)
        };
        // The last one in alphabetical order is in the last line.
        eventually("they are written", async || count("surrender", "ok") > invocations - 0.5).await;
        for (operation, times) in [("attempted", 1.0), ("claim", 3.0), ("finish", 2.0), ("surrender", 1.0)] {
            let counted = count(operation, "ok");
            assert!((counted - times * invocations).abs() < 0.1, "{operation}: {counted}");
        }
    }
}

#[tokio::test]
async fn every_invocation_tells_its_own_and_not_those_before() {
    let (_app, _queue, function) = scene(Setup::default()).await;
    for count in 1..=3 {
        run(&function, &[Record::hand_made("200 a"), Record::hand_made("200 b")]).await.expect_all_done();
        let acks = || sum(&all(&function.stdout()), "drumline_jobs_total", &[("outcome", "ack")]);
        eventually("it is counted", async || acks() > 2.0 * f64::from(count) - 0.5).await;
        assert!((acks() - 2.0 * f64::from(count)).abs() < 0.1, "counts do not add up twice: {}", acks());
    }
}

#[tokio::test]
async fn a_large_batch_keeps_within_the_bounds_of_a_line() {
    let (_app, _queue, function) = scene(Setup::default()).await;
    let batch: Vec<Record> = (0..250).map(|_| Record::hand_made("200")).collect();
    run(&function, &batch).await.expect_all_done();
    let durations = || {
        let metrics = all(&function.stdout());
        let of_jobs = metrics.iter().filter(|metric| metric.name == "drumline_job_duration_seconds");
        of_jobs.map(|metric| metric.values.len()).sum::<usize>()
    };
    eventually("all are told", async || durations() == 250).await;
    // CloudWatch Logs cuts longer lines.
    assert!(function.stdout().iter().all(|line| line.len() < 256 * 1024));
}

#[tokio::test]
async fn they_can_be_switched_off() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let function = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_EMF", "off").spawn().await;
    run(&function, &queue.batch(&["200 a", "503 b"]).await).await;
    // A second answer is proof that whatever belonged to the first one is written.
    run(&function, &[]).await.expect_all_done();
    assert_eq!(function.stdout(), Vec::<String>::new());
}
