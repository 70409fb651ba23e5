//! The alarms for CloudWatch watch metrics that a worker writes.

use std::time::Duration;

use drumline_tests::{
    Answer, App, EmfMetric, Launch, LocalQueue, Setup, alarm_metrics, emf_metrics, eventually,
};
use serde_json::{Value, json};

/// Returns the template for a target of five milliseconds, which every job misses, or of a day.
async fn template(within: &str, queue: &str) -> String {
    let target = format!("99% of email.send within {within} over 30d");
    let finished =
        Launch::new(&["slo", "--target", &target, "--queue", queue, "--format", "cloudwatch"]).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    finished.stdout.join("\n")
}

/// Returns the metrics of a template that are not among these, or have other values than three late jobs, one that is retried, and
/// one dead letter.
fn wrong(template: &str, queue: &str, late: f64, written: &[EmfMetric]) -> Vec<String> {
    let template: Value = serde_norway::from_str(template).unwrap();
    let watched = alarm_metrics(&template, queue);
    assert_eq!(watched.len(), 27, "eight windows with three metrics, and the failing share with three");
    let expected = |stat: &str, outcome: Option<&str>| match (stat, outcome) {
        ("SampleCount", None) | ("Sum", Some("ack")) => 3.0,
        ("Sum", Some("retry" | "dead_letter")) => 1.0,
        (stat, None) if stat.starts_with("TC(") => late,
        _ => f64::NAN,
    };
    let problem = |metric: &drumline_tests::AlarmMetric| {
        let expected = expected(&metric.stat, metric.labels.get("outcome").map(|outcome| &**outcome));
        match metric.of(written) {
            Some(value) if (value - expected).abs() < 1e-6 => None,
            other => Some(format!("{metric:?}: {other:?}, and not {expected}")),
        }
    };
    watched.iter().filter_map(problem).collect()
}

#[tokio::test]
async fn alarms_watch_what_a_worker_writes() {
    let app = App::start(async |call| {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let body: Value = serde_json::from_str(&call.body).unwrap();
        Answer::status(body["payload"]["status"].as_u64().unwrap().try_into().unwrap())
    })
    .await;
    let queue = LocalQueue::create(Setup::default()).await;
    let worker = Launch::on(&queue)
        .env("DRUMLINE_EMF", "on")
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_RETRY", "schedule(5m)")
        .spawn();
    for status in [200, 200, 200, 503, 422] {
        queue.send(&json!({ "type": "email.send", "payload": { "status": status } }).to_string());
    }
    eventually("all have run", async || worker.metric("drumline_jobs_total{").await == 5).await;
    eventually("nothing is in hand", async || worker.metric("drumline_deliveries_in_hand{").await == 0).await;
    let finished = worker.stop().await;
    let written = emf_metrics(&finished.stdout);
    let late = template("5ms", &queue.name).await;
    assert_eq!(wrong(&late, &queue.name, 3.0, &written), Vec::<String>::new());
    assert_eq!(wrong(&template("1d", &queue.name).await, &queue.name, 0.0, &written), Vec::<String>::new());
    // The check must find names, labels and values that no worker writes.
    for (right, wrong_text, count) in [
        ("drumline_job_dwell_seconds", "drumline_dwell_seconds", 16),
        ("dead_letter", "dead", 9),
        ("Name: outcome", "Name: result", 11),
        ("Value: email.send", "Value: email", 27),
    ] {
        let problems = wrong(&late.replace(right, wrong_text), &queue.name, 3.0, &written);
        assert_eq!(problems.len(), count, "{wrong_text}: {problems:?}");
    }
}
