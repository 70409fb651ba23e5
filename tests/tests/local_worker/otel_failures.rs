//! A collector that is down, that is overloaded, and that has less time than it needs; and the temporality of metrics.

use std::time::{Duration, Instant};

use drumline_tests::{App, Collector, Launch, LocalQueue, Setup, eventually, free_address};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric};
use serde_json::Value as Json;

const TRACES: &str = "/v1/traces";
const METRICS: &str = "/v1/metrics";

async fn queue() -> LocalQueue {
    LocalQueue::create(Setup::default()).await
}

/// A worker in forward mode that exports to this address several times a second.
fn worker(queue: &LocalQueue, app: &App, collector: &str) -> Launch {
    Launch::on(queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
        .env("OTEL_BSP_SCHEDULE_DELAY", "200")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "200")
}

fn field<'a>(line: &'a Json, name: &str) -> &'a str {
    line[name].as_str().unwrap_or_else(|| panic!("no {name}: {line}"))
}

#[tokio::test]
async fn a_collector_that_starts_later_is_named_once_and_used_then() {
    let (app, queue, addr) = (App::always_ok().await, queue().await, free_address());
    let worker = worker(&queue, &app, &format!("http://user:hunter2@{addr}")).spawn();
    queue.send("{}");
    let (spans, metrics) = ("spans not exported", "metrics not exported");
    let lines =
        [worker.until_logged(spans, 1).await.remove(0), worker.until_logged(metrics, 1).await.remove(0)];
    for (line, path) in lines.iter().zip([TRACES, METRICS]) {
        assert_eq!(field(line, "level"), "WARN");
        assert_eq!(field(line, "endpoint"), format!("http://{addr}{path}"));
        assert_eq!(field(line, "error"), "connection refused (111)");
        assert!(field(line, "fix").contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{line}");
        assert_eq!(line["exports"], 1, "{line}");
    }
    // More exports fail, which is not logged.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let collector = Collector::start_on(addr).await;
    let again = worker.until_logged("metrics exported again", 1).await;
    assert!(again[0]["failed_exports"].as_u64().unwrap() >= 1, "{again:?}");
    queue.send("{}");
    worker.until_logged("spans exported again", 1).await;
    eventually("a later job is seen", async || !collector.spans_of("process").is_empty()).await;
    let finished = worker.stop().await;
    for message in [spans, metrics, "spans exported again", "metrics exported again"] {
        assert_eq!(finished.logged(message).len(), 1, "{message}: {}", finished.errors());
    }
    assert!(!finished.errors().contains("hunter2"), "{}", finished.errors());
}

#[tokio::test]
async fn a_collector_that_is_down_delays_no_end() {
    let (app, queue) = (App::always_ok().await, queue().await);
    let worker = worker(&queue, &app, "http://127.0.0.1:9").spawn();
    queue.send("{}");
    eventually("it is done", async || app.count() == 1 && queue.count() == 0).await;
    let begun = Instant::now();
    let finished = worker.stop().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_overloaded_collector_gets_metrics_and_spans_again_when_it_wants_them() {
    let (app, queue, collector) = (App::always_ok().await, queue().await, Collector::start().await);
    for path in [TRACES, METRICS] {
        collector.refuse(path, 503, Some("1"));
        collector.refuse(path, 429, None);
    }
    let worker = worker(&queue, &app, &collector.url()).spawn();
    queue.send("{}");
    for path in [TRACES, METRICS] {
        eventually("it is accepted", async || collector.requests(path).iter().any(|r| r.status == 200)).await;
        let requests = collector.requests(path);
        let statuses: Vec<_> = requests.iter().take(3).map(|request| request.status).collect();
        assert_eq!(statuses, [503, 429, 200], "{path}");
        let waited = requests[1].at - requests[0].at;
        assert!(waited >= Duration::from_secs(1), "{path}: {waited:?}");
    }
    let finished = worker.stop().await;
    for message in ["spans not exported", "metrics not exported"] {
        assert_eq!(finished.logged(message), Vec::<Json>::new(), "{message}");
    }
}

#[tokio::test]
async fn a_refusal_is_not_retried_and_the_log_says_what_to_check() {
    let (app, queue, collector) = (App::always_ok().await, queue().await, Collector::start().await);
    collector.refuse(METRICS, 401, Some("0"));
    let worker = worker(&queue, &app, &collector.url()).spawn();
    let line = worker.until_logged("metrics not exported", 1).await.remove(0);
    assert_eq!(field(&line, "error"), "the collector answers 401 Unauthorized");
    assert!(field(&line, "fix").contains("OTEL_EXPORTER_OTLP_HEADERS"), "{line}");
    worker.until_logged("metrics exported again", 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn retries_end_with_the_timeout() {
    let (app, queue, collector) = (App::always_ok().await, queue().await, Collector::start().await);
    collector.refuse(METRICS, 503, Some("30"));
    let worker = worker(&queue, &app, &collector.url()).env("OTEL_EXPORTER_OTLP_TIMEOUT", "2000").spawn();
    let line = worker.until_logged("metrics not exported", 1).await.remove(0);
    assert!(field(&line, "error").contains("503"), "{line}");
    worker.stop().await;
}

/// The sum of the points of a counter.
fn total(metric: &Metric) -> f64 {
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
    let value = |value| if let Some(Value::AsDouble(value)) = value { value } else { 0.0 };
    sum.data_points.iter().map(|point| value(point.value)).sum()
}

#[tokio::test]
async fn changes_are_exported_if_they_are_preferred_and_none_is_lost() {
    let (app, queue, collector) = (App::always_ok().await, queue().await, Collector::start().await);
    // A failed export: the next one has its changes.
    collector.refuse(METRICS, 400, None);
    let worker = worker(&queue, &app, &collector.url())
        .env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")
        .spawn();
    let jobs = |collector: &Collector| {
        let mut metrics = collector.all_metrics();
        metrics.retain(|metric| metric.name == "drumline_jobs_total");
        metrics
    };
    let counted = |collector: &Collector| jobs(collector).iter().map(total).sum::<f64>();
    queue.send("{}");
    eventually("one is exported", async || counted(&collector) > 0.9).await;
    queue.send("{}");
    queue.send("{}");
    eventually("all are exported", async || counted(&collector) > 2.9).await;
    worker.stop().await;
    assert!(counted(&collector) < 3.1, "{:?}", jobs(&collector));
    let all = jobs(&collector);
    let mut ends = Vec::new();
    for metric in &all {
        let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
        assert_eq!(sum.aggregation_temporality, AggregationTemporality::Delta as i32);
        for point in &sum.data_points {
            assert!(ends.iter().all(|end| point.start_time_unix_nano >= *end), "{all:?}");
        }
        ends.extend(sum.data_points.iter().map(|point| point.time_unix_nano));
    }
    assert!(ends.len() >= 2, "{all:?}");
}
