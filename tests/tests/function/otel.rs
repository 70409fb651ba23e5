//! Traces and metrics by OpenTelemetry: exported before the response.

use drumline_tests::{
    Answer, App, Collector, FunctionLaunch, Invocation, LocalQueue, Record, Setup, sqs_event,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric};
use serde_json::json;

const SENDER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn a_senders_trace_continues_and_is_exported_before_a_response() {
    let queue = LocalQueue::create(Setup::default()).await;
    let app = App::start(async |call| Answer::status(call.body.trim().parse().unwrap_or(200))).await;
    let collector = Collector::start().await;
    let function = FunctionLaunch::forwarding(&app, &queue)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
        .env("OTEL_SERVICE_NAME", "function")
        .env("OTEL_BSP_SCHEDULE_DELAY", "3600000")
        .spawn()
        .await;
    let attributes = json!({ "traceparent": { "stringValue": SENDER, "dataType": "String" } });
    let batch =
        ["200", "503"].map(|body| Record::hand_made(body).with("messageAttributes", attributes.clone()));
    let answered = function.invoke(Invocation::new(sqs_event(&batch))).await;
    // Lambda has the response, and would freeze the process now.
    let spans = collector.spans_of("process");
    answered.expect_failed(&[batch[1].id()]);
    assert_eq!(spans.len(), 2, "{spans:#?}");
    for span in &spans {
        assert_eq!(
            (&*span.service, &*span.trace_id, &*span.parent_id),
            ("function", &SENDER[3..35], &SENDER[36..52])
        );
        let id = span.attribute("messaging.message.id");
        let call = app.calls().into_iter().find(|call| call.message_id == id).unwrap();
        assert_eq!(call.header("traceparent"), Some(&*span.traceparent()));
        assert_eq!(span.error.is_some(), id == batch[1].id(), "{span:?}");
    }
    // The backoff of the second one is its settling; the first is settled by the response.
    let settled = collector.spans_of("settle");
    let operations: Vec<_> = settled.iter().map(|span| span.attribute("messaging.operation.name")).collect();
    assert!(operations.iter().all(|name| *name == "change_visibility"), "{settled:#?}");
}

#[tokio::test]
async fn a_collector_that_is_down_holds_up_no_later_invocation() {
    let queue = LocalQueue::create(Setup::default()).await;
    let app = App::always_ok().await;
    let function = FunctionLaunch::forwarding(&app, &queue)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        .spawn()
        .await;
    let mut times = Vec::new();
    for _ in 0..3 {
        let begun = std::time::Instant::now();
        let answered = function.invoke(Invocation::new(sqs_event(&[Record::hand_made("200")]))).await;
        answered.expect_all_done();
        times.push(begun.elapsed());
    }
    assert!(times[1..].iter().all(|time| time.as_millis() < 1_500), "{times:?}");
}

/// The sum of the points of a counter, with its temporality.
fn total(metrics: &[&Metric]) -> Vec<(f64, i32)> {
    let total = |metric: &&Metric| {
        let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
        let value = |value| if let Some(Value::AsDouble(value)) = value { value } else { 0.0 };
        (sum.data_points.iter().map(|point| value(point.value)).sum(), sum.aggregation_temporality)
    };
    metrics.iter().map(total).collect()
}

#[tokio::test]
async fn metrics_are_exported_before_a_response_also_without_those_of_the_log() {
    let queue = LocalQueue::create(Setup::default()).await;
    let app = App::always_ok().await;
    for (preference, temporality, counts) in [
        ("cumulative", AggregationTemporality::Cumulative, [1.0, 3.0]),
        ("delta", AggregationTemporality::Delta, [1.0, 2.0]),
    ] {
        let collector = Collector::start().await;
        let function = FunctionLaunch::forwarding(&app, &queue)
            .env("DRUMLINE_EMF", "off")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
            .env("OTEL_TRACES_EXPORTER", "none")
            .env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", preference)
            .spawn()
            .await;
        for count in [1, 2] {
            let batch: Vec<_> = (0..count).map(|_| Record::hand_made("200")).collect();
            function.invoke(Invocation::new(sqs_event(&batch))).await.expect_all_done();
        }
        // Lambda has the response, and would freeze the process now.
        let metrics = collector.all_metrics();
        let named = |name: &str| metrics.iter().filter(|metric| metric.name == name).collect::<Vec<_>>();
        let expected = counts.map(|count| (count, temporality as i32));
        assert_eq!(total(&named("drumline_jobs_total")), expected, "{preference}");
        let durations = named("drumline_job_duration_seconds");
        let points = durations.iter().map(|metric| match &metric.data {
            Some(Data::Histogram(histogram)) => histogram.data_points.iter().map(|point| point.count).sum(),
            other => panic!("{other:?}"),
        });
        let points: Vec<u64> = points.collect();
        assert_eq!(points, if preference == "delta" { [1, 2] } else { [1, 3] }, "{preference}");
        assert!(function.stdout().iter().all(|line| !line.contains("CloudWatchMetrics")));
    }
}
