//! The worker's metrics on standard output, in CloudWatch's embedded metric format.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use drumline_tests::{
    Answer, App, EmfMetric, Launch, LocalQueue, Setup, emf_metrics, emf_sum, eventually, eventually_within,
    get,
};

/// Answers with the status in the body.
async fn obedient() -> App {
    App::start(async |call| Answer::status(call.body.trim().parse().unwrap_or(200))).await
}

/// Labels with their values.
type Labels = Vec<(String, String)>;

/// The series of `/metrics`: name, labels and value.
fn series(text: &str) -> Vec<(String, Labels, f64)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let split = |line: &str| {
        let (name, rest) = line.split_once('{')?;
        let (labels, value) = rest.split_once("} ")?;
        let label = |label: &str| {
            let (name, value) = label.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('"').to_owned()))
        };
        Some((name.to_owned(), labels.split(',').filter_map(label).collect(), value.parse().ok()?))
    };
    lines.filter_map(split).collect()
}

fn sum_of(metrics: &[EmfMetric], name: &str, labels: &[(String, String)]) -> f64 {
    let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
    emf_sum(metrics, name, &labels)
}

#[tokio::test]
async fn written_metrics_add_up_to_those_of_the_endpoint() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let worker = Launch::on(&queue)
        .env("DRUMLINE_EMF", "on")
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_RETRY", "schedule(5m)")
        .spawn();
    for status in ["200", "200", "503"] {
        queue.send(status);
    }
    eventually("the first jobs have run", async || worker.metric("drumline_jobs_total{").await == 3).await;
    assert_eq!(worker.stdout(), Vec::<String>::new(), "nothing before the first minute is over");
    let minute = Duration::from_secs(90);
    let of_queue = ("queue", &*queue.name);
    let expected = [
        ("drumline_queue_depth", 1.0),
        ("drumline_dlq_depth", 0.0),
        ("drumline_deliveries_in_hand", 0.0),
        ("drumline_jobs_running", 0.0),
        ("drumline_jobs_total", 3.0),
    ];
    // Each line is written by itself, so the first one may be there without the others.
    eventually_within(minute, "the lines of the first minute are written", async || {
        let first = emf_metrics(&worker.stdout());
        expected.iter().all(|(name, value)| {
            first.iter().any(|metric| metric.name == *name)
                && (emf_sum(&first, name, &[of_queue]) - value).abs() < 0.1
        })
    })
    .await;
    for status in ["200", "422", "200", "200"] {
        queue.send(status);
    }
    eventually("the other jobs have run", async || worker.metric("drumline_jobs_total{").await == 7).await;
    eventually("the rejected one is a dead letter", async || queue.dead().len() == 1).await;
    eventually("nothing is in hand", async || worker.metric("drumline_deliveries_in_hand{").await == 0).await;
    let (_, text) = get(&worker.endpoint("/metrics")).await.unwrap();
    let finished = worker.stop().await;

    let metrics = emf_metrics(&finished.stdout);
    let mut compared = BTreeSet::new();
    for (name, labels, total) in series(&text) {
        let (name, written) = if let Some(name) = name.strip_suffix("_sum") {
            (name.to_owned(), sum_of(&metrics, name, &labels))
        } else if let Some(name) = name.strip_suffix("_count") {
            let is_such = |metric: &&EmfMetric| {
                metric.name == name
                    && labels.iter().all(|(label, value)| metric.labels.get(label) == Some(value))
            };
            let values = metrics.iter().filter(is_such).flat_map(|metric| &metric.values);
            (name.to_owned(), values.map(|(_, count)| count).sum())
        } else if name.ends_with("_total") {
            let sum = sum_of(&metrics, &name, &labels);
            (name, sum)
        } else {
            continue;
        };
        // The worker continues with these until it is stopped.
        let goes_on =
            ["drumline_sqs_requests_total", "drumline_empty_receives_total", "drumline_store_requests_total"]
                .contains(&&*name);
        let is_equal = (written - total).abs() < 1e-6 || goes_on && written >= total;
        assert!(is_equal, "{name} {labels:?}: {written} written, {total} at /metrics");
        compared.insert(name);
    }
    for name in [
        "drumline_jobs_total",
        "drumline_failures_total",
        "drumline_job_duration_seconds",
        "drumline_job_dwell_seconds",
        "drumline_pickup_delay_seconds",
        "drumline_sqs_requests_total",
        "drumline_store_requests_total",
    ] {
        assert!(compared.contains(name), "{name} in {compared:?}");
    }
    let in_stderr = finished.stderr.iter().filter(|line| line.contains("CloudWatchMetrics")).count();
    assert_eq!(in_stderr, 0, "logs have the other stream for themselves");
}

#[tokio::test]
async fn the_format_of_the_log_does_not_matter() {
    for format in ["json", "pretty"] {
        let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
        let worker = Launch::on(&queue)
            .env("DRUMLINE_EMF", "on")
            .env("DRUMLINE_LOG_FORMAT", format)
            .env("DRUMLINE_FORWARD_TO", &app.url())
            .spawn();
        queue.send("200");
        eventually("it is done", async || app.count() == 1 && queue.count() == 0).await;
        let finished = worker.stop().await;
        let metrics = emf_metrics(&finished.stdout);
        assert!(
            (emf_sum(&metrics, "drumline_jobs_total", &[("outcome", "ack")]) - 1.0).abs() < 0.1,
            "{metrics:?}"
        );
        // The last lines show the state after the drain.
        assert!(emf_sum(&metrics, "drumline_queue_depth", &[]).abs() < 0.1, "{metrics:?}");
    }
}

#[tokio::test]
async fn a_worker_writes_nothing_to_standard_output_by_default() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let worker = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    queue.send("200");
    eventually("it is done", async || app.count() == 1 && queue.count() == 0).await;
    assert_eq!(worker.stop().await.stdout, Vec::<String>::new());
}

#[tokio::test]
async fn a_standard_output_without_a_reader_stops_nothing() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let worker = Launch::on(&queue)
        .env("DRUMLINE_EMF", "on")
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .without_reader()
        .spawn();
    queue.send("200");
    eventually("it is done", async || app.count() == 1 && queue.count() == 0).await;
    let finished = worker.stop().await;
    assert_eq!(finished.logged("metrics could not be written").len(), 1, "{}", finished.errors());
}

#[tokio::test]
async fn a_full_standard_output_delays_neither_jobs_nor_the_end() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let worker = Launch::on(&queue)
        .env("DRUMLINE_EMF", "on")
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .with_stalled_reader()
        .spawn();
    queue.send("200");
    eventually("it is done", async || app.count() == 1 && queue.count() == 0).await;
    // The lines of the first minute are blocked, and jobs still run.
    tokio::time::sleep(Duration::from_secs(62)).await;
    queue.send("200");
    eventually("the second one is done", async || app.count() == 2 && queue.count() == 0).await;
    let stopped_at = Instant::now();
    let finished = worker.stop().await;
    let took = stopped_at.elapsed();
    assert!(took < Duration::from_secs(5), "it takes {took:?}: {}", finished.errors());
    let late = finished.logged("the last metrics could not be written in time").len();
    assert_eq!(late, 1, "{}", finished.errors());
}
