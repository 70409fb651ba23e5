//! The formats of `/metrics`, as Prometheus' own tools read them.

use std::process::Stdio;

use drumline_tests::{App, Launch, LocalQueue, Setup, eventually, get_as};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::slo::is_installed;

/// The header of Debian's Prometheus 2.
const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

#[tokio::test]
async fn a_client_gets_the_format_that_it_prefers() {
    let (app, queue) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
    let worker = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    queue.send("{}");
    eventually("it is counted", async || worker.metric("drumline_jobs_total{").await == 1).await;
    let url = worker.endpoint("/metrics");
    let (content_type, text) = get_as(&url, PROMETHEUS).await;
    assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(text.ends_with("# EOF\n") && text.contains("# TYPE drumline_jobs counter\n"), "{text}");
    let (content_type, text) = get_as(&url, "*/*").await;
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(!text.contains("# EOF") && text.contains("# TYPE drumline_jobs_total counter\n"), "{text}");
    worker.stop().await;
    if is_installed("promtool").await {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        promtool.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
        let output = promtool.wait_with_output().await.unwrap();
        let problems = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{problems}");
    }
}
