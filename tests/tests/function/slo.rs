//! The alarms of `drumline slo` watch metrics that a function writes.

use std::time::Duration;

use drumline_tests::{
    Answer, App, FunctionLaunch, Launch, LocalQueue, Setup, alarm_metrics, emf_metrics, emf_sum, eventually,
};

use crate::apps::run;

#[tokio::test]
async fn alarms_watch_what_a_function_writes() {
    let app = App::start(async |call| {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let outcomes = [("fails", 503), ("dead", 422)];
        let status =
            outcomes.iter().find(|(word, _)| call.body.contains(word)).map_or(200, |(_, status)| *status);
        Answer::status(status)
    })
    .await;
    let queue = LocalQueue::create(Setup::default()).await;
    let function = FunctionLaunch::forwarding(&app, &queue).spawn().await;
    let job = |word: &str| format!(r#"{{"type":"email.send","payload":{{"is":"{word}"}}}}"#);
    let batch = queue.batch(&["done", "done", "fails", "dead", "done"].map(job)).await;
    run(&function, &batch).await;
    eventually("all jobs are written", async || {
        emf_sum(&emf_metrics(&function.stdout()), "drumline_jobs_total", &[]) > 4.9
    })
    .await;
    let written = || emf_metrics(&function.stdout());
    eventually("dwell times are written", async || {
        written().iter().any(|metric| metric.name == "drumline_job_dwell_seconds")
    })
    .await;
    let slo = ["slo", "--target", "99% of email.send within 5ms over 30d", "--queue", &queue.name];
    let finished = Launch::new(&[&slo[..], &["--format", "cloudwatch"]].concat()).finish().await;
    let template = serde_norway::from_str(&finished.stdout.join("\n")).unwrap();
    let watched = alarm_metrics(&template, &queue.name);
    // Eight windows with three metrics, and the failing share with three.
    assert_eq!(watched.len(), 27);
    for metric in watched {
        let expected = match (&*metric.stat, metric.labels.get("outcome").map(|outcome| &**outcome)) {
            ("SampleCount" | "TC(0.005:)", None) | ("Sum", Some("ack")) => 3.0,
            ("Sum", Some("retry" | "dead_letter")) => 1.0,
            _ => panic!("{metric:?} is not expected"),
        };
        let value = metric.of(&written()).unwrap_or_else(|| panic!("no function writes {metric:?}"));
        assert!((value - expected).abs() < 1e-6, "{metric:?}: {value}, and not {expected}");
    }
}
