//! A function's metrics on standard output, in CloudWatch's embedded metric format.

use std::collections::BTreeSet;

use drumline_tests::{
    EmfMetric, FunctionLaunch, LocalQueue, Record, Setup, emf_metrics, emf_sum as sum, eventually,
};

use crate::apps::{obedient, run, scene};

fn all(lines: &[String]) -> Vec<EmfMetric> {
    emf_metrics(lines)
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
        "drumline_job_dwell_seconds",
        "drumline_oldest_message_age_seconds",
        "drumline_pickup_delay_seconds",
        "drumline_failures_total",
        "drumline_sqs_requests_total",
        "drumline_store_requests_total",
    ] {
        assert!(names.contains(name), "{name} in {names:?}");
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
    let durations: Vec<(f64, f64)> = durations.flat_map(|metric| metric.values.clone()).collect();
    assert_eq!(durations.len(), 5);
    assert!(
        durations.iter().all(|(secs, count)| (0.0..30.0).contains(secs) && (0.9..1.1).contains(count)),
        "{durations:?}"
    );
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
    eventually("all are written", async || durations() == 250).await;
}

#[tokio::test]
async fn they_can_be_switched_off() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let function = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_EMF", "off").spawn().await;
    run(&function, &queue.batch(&["200 a", "503 b"]).await).await;
    // A second response proves that the metrics of the first one have been written.
    run(&function, &[]).await.expect_all_done();
    assert_eq!(function.stdout(), Vec::<String>::new());
}
