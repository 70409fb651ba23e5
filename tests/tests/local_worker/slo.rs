//! The rules of `drumline slo`, tested with Prometheus's own tools: on series for which alerts must fire or must not, and on a
//! worker.

mod alarms;
mod dashboard;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use drumline_tests::{Answer, App, Launch, LocalQueue, Setup, eventually_within, free_address, get};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use url::Url;

const TARGET: &str = "99% of email.send within 2m over 30d";

const FAST: &str = "DrumlineBudgetBurnsFast";
const SLOWLY: &str = "DrumlineBudgetBurnsSlowly";
const FAIL: &str = "DrumlineJobsFail";
const GROW: &str = "DrumlineDeadLettersGrow";
const STALLED: &str = "DrumlinePollingStalled";
const MISSING: &str = "DrumlineWorkerMissing";

/// The time between two samples.
const INTERVAL: &str = "15s";
const PER_MINUTE: usize = 4;

/// Returns true if a program is installed. Otherwise prints that the test is skipped.
pub(crate) async fn is_installed(program: &str) -> bool {
    let version =
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    let is_there = version.is_ok_and(|status| status.success());
    if !is_there {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        #[allow(clippy::explicit_write, reason = "a report of a skipped test is no debug output")]
        writeln!(std::io::stderr(), "skipped: {test}, as {program} is not installed").unwrap();
    }
    is_there
}

/// Returns the output of `drumline slo`.
async fn slo(args: &[&str]) -> String {
    let finished = Launch::new(&[&["slo", "--target", TARGET], args].concat()).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    finished.stdout.join("\n") + "\n"
}

async fn run(program: &str, args: &[&str], folder: &Path) -> Result<(), String> {
    let output = Command::new(program).args(args).current_dir(folder).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(text.into_owned()) }
}

/// A phase of the series: for this many minutes, these steps between samples.
#[derive(Clone, Copy)]
struct Phase {
    minutes: usize,
    /// Jobs that succeed in time, and jobs that succeed late.
    done: usize,
    late: usize,
    failed: usize,
    dead: usize,
    visible: usize,
    in_hand: usize,
    is_paused: bool,
}

/// A hundred attempts between two samples, which all succeed.
const HEALTHY: Phase =
    Phase { minutes: 60, done: 100, late: 0, failed: 0, dead: 0, visible: 0, in_hand: 5, is_paused: false };
/// Nothing happens.
const IDLE: Phase = Phase { done: 0, in_hand: 0, ..HEALTHY };

/// Returns a counter's samples.
fn counter(phases: &[Phase], step: impl Fn(&Phase) -> usize) -> String {
    let mut value = 0;
    let part = |phase: &Phase| {
        let (step, samples, start) = (step(phase), phase.minutes * PER_MINUTE, value);
        value += step * samples;
        format!("{start}+{step}x{}", samples - 1)
    };
    phases.iter().map(part).collect::<Vec<_>>().join(" ")
}

/// Leaves out a counter's samples of phases in which it is 0: a worker has no series of what has not happened since its start.
fn since_first(values: &str) -> String {
    let part = |part: &str| match part.strip_prefix("0+0x") {
        Some(steps) => format!("_x{}", steps.parse::<usize>().unwrap() + 1),
        None => part.to_owned(),
    };
    values.split(' ').map(part).collect::<Vec<_>>().join(" ")
}

fn gauge(phases: &[Phase], value: impl Fn(&Phase) -> usize) -> String {
    let part = |phase: &Phase| format!("{}+0x{}", value(phase), phase.minutes * PER_MINUTE - 1);
    phases.iter().map(part).collect::<Vec<_>>().join(" ")
}

/// Returns a test of `promtool`: after the phases exactly these alerts fire.
fn case(name: &str, phases: &[Phase], silent_minutes: usize, ringing: &[&str]) -> Value {
    let of_type = r#"queue="emails",type="email.send""#;
    let input: Vec<(String, String)> = vec![
        (format!(r#"drumline_jobs_total{{{of_type},outcome="ack"}}"#), counter(phases, |p| p.done + p.late)),
        (format!(r#"drumline_jobs_total{{{of_type},outcome="dead_letter"}}"#), counter(phases, |p| p.dead)),
        (
            format!(r#"drumline_failures_total{{{of_type},class="retry_asked"}}"#),
            counter(phases, |p| p.failed),
        ),
        (format!("drumline_job_dwell_seconds_count{{{of_type}}}"), counter(phases, |p| p.done + p.late)),
        (
            format!(r#"drumline_job_dwell_seconds_bucket{{{of_type},le="120.0"}}"#),
            counter(phases, |p| p.done),
        ),
        (r#"drumline_dlq_depth{queue="emails"}"#.to_owned(), counter(phases, |p| p.dead)),
        (r#"drumline_queue_depth{queue="emails",state="visible"}"#.to_owned(), gauge(phases, |p| p.visible)),
        (r#"drumline_deliveries_in_hand{queue="emails"}"#.to_owned(), gauge(phases, |p| p.in_hand)),
        (
            r#"drumline_paused{queue="emails",reason="operator"}"#.to_owned(),
            gauge(phases, |p| usize::from(p.is_paused)),
        ),
    ];
    let is_counter = |series: &str| series.contains("_total{") || series.contains("_seconds_");
    let input: Vec<Value> = input
        .into_iter()
        .map(|(series, values)| {
            let values = if is_counter(&series) { since_first(&values) } else { values };
            (series, values)
        })
        .filter(|(_, values)| values.split(' ').any(|part| !part.starts_with("_x")))
        .map(|(series, values)| json!({ "series": series, "values": values }))
        .collect();
    let end: usize = phases.iter().map(|phase| phase.minutes).sum::<usize>() + silent_minutes;
    let samples: Vec<Value> = ringing
        .iter()
        .map(|alert| json!({ "labels": format!("{{alertname=\"{alert}\"}}"), "value": 1 }))
        .collect();
    json!({
        "name": name,
        "interval": INTERVAL,
        "input_series": input,
        "promql_expr_test": [{
            "expr": r#"count by (alertname) (ALERTS{alertstate="firing"})"#,
            "eval_time": format!("{end}m"),
            "exp_samples": samples,
        }],
    })
}

#[tokio::test]
async fn rules_ring_for_series_that_must_ring_and_for_no_others() {
    if !is_installed("promtool").await {
        return;
    }
    let failing = |minutes, failed| Phase { minutes, done: 100 - failed, failed, ..HEALTHY };
    let late = |minutes, late| Phase { minutes, done: 100 - late, late, ..HEALTHY };
    let dead = |minutes, dead| Phase { minutes, done: 100 - dead, failed: dead, dead, ..HEALTHY };
    let waiting = Phase { minutes: 15, visible: 50, ..IDLE };
    let tests = [
        case("all is well", &[HEALTHY], 0, &[]),
        case("20 % fail for 5 minutes", &[HEALTHY, failing(5, 20)], 0, &[FAIL]),
        case("1 % fails for an hour", &[HEALTHY, failing(60, 1)], 0, &[]),
        case("20 % are late for an hour", &[HEALTHY, late(60, 20)], 0, &[FAST, SLOWLY]),
        case(
            "20 % were late, and half an hour is well",
            &[HEALTHY, late(60, 20), Phase { minutes: 31, ..HEALTHY }],
            0,
            &[SLOWLY],
        ),
        case("20 % are late for 5 minutes", &[Phase { minutes: 600, ..HEALTHY }, late(5, 20)], 0, &[]),
        case("4 % are late for a day", &[Phase { minutes: 1440, ..late(60, 4) }], 0, &[SLOWLY]),
        case("all are dead for an hour", &[HEALTHY, dead(60, 100)], 0, &[FAST, SLOWLY, FAIL, GROW]),
        case("a new worker's jobs are all dead", &[dead(60, 100)], 0, &[FAST, SLOWLY, FAIL, GROW]),
        case("a new worker's attempts all fail", &[failing(10, 100)], 0, &[FAIL]),
        case("a dead letter", &[HEALTHY, dead(1, 1), Phase { minutes: 5, ..HEALTHY }], 0, &[GROW]),
        case("dead letters that lie there", &[HEALTHY, dead(1, 1), Phase { minutes: 30, ..HEALTHY }], 0, &[]),
        case("no jobs", &[HEALTHY, IDLE], 0, &[]),
        case(
            "4 of 4 attempts fail in a quiet hour",
            &[HEALTHY, IDLE, Phase { minutes: 1, failed: 1, ..IDLE }],
            0,
            &[],
        ),
        case("messages that are not received", &[HEALTHY, waiting], 0, &[STALLED]),
        case("messages that wait for the operator", &[HEALTHY, Phase { is_paused: true, ..waiting }], 0, &[]),
        case("messages that wait for long jobs", &[HEALTHY, Phase { in_hand: 10, ..waiting }], 0, &[]),
        case("the worker has gone", &[HEALTHY], 20, &[MISSING]),
    ];
    for queue in [&[][..], &["--queue", "emails"]] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rules.yml"), slo(queue).await).unwrap();
        let document = json!({
            "rule_files": ["rules.yml"],
            "evaluation_interval": "1m",
            "tests": tests,
        });
        std::fs::write(folder.path().join("tests.json"), document.to_string()).unwrap();
        run("promtool", &["check", "rules", "rules.yml"], folder.path())
            .await
            .unwrap_or_else(|text| panic!("{text}"));
        run("promtool", &["test", "rules", "tests.json"], folder.path())
            .await
            .unwrap_or_else(|text| panic!("{text}"));
    }
}

/// A Prometheus that scrapes a worker each second. It ends with the test.
struct Prometheus {
    addr: SocketAddr,
    _process: Child,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    fn start(worker: SocketAddr, rules: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let addr = free_address();
        let config = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": ["rules.yml"],
            "scrape_configs": [{ "job_name": "worker", "static_configs": [{ "targets": [worker.to_string()] }] }],
        });
        std::fs::write(folder.path().join("rules.yml"), rules).unwrap();
        std::fs::write(folder.path().join("prometheus.yml"), config.to_string()).unwrap();
        let process = Command::new("prometheus")
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={addr}"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { addr, _process: process, _folder: folder }
    }

    /// Returns the labels and values of a query's series. None before it responds; a bad query fails the test.
    async fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let base = format!("http://{}/api/v1/query", self.addr);
        let url = Url::parse_with_params(&base, [("query", query)]).unwrap();
        let Some((status, text)) = get(url.as_str()).await else { return Vec::new() };
        assert_ne!(status, 400, "{query}: {text}");
        if status != 200 {
            return Vec::new();
        }
        let answer: Value = serde_json::from_str(&text).unwrap();
        let series = answer["data"]["result"].as_array().unwrap().iter();
        let value = |of: &Value| of["value"][1].as_str().unwrap().parse().unwrap();
        series.map(|of| (of["metric"].clone(), value(of))).collect()
    }
}

#[tokio::test]
async fn a_prometheus_that_scrapes_a_worker_alerts_on_dead_letters() {
    if !is_installed("prometheus").await {
        return;
    }
    let app = App::start(async |call| {
        let body: Value = serde_json::from_str(&call.body).unwrap();
        Answer::status(body["payload"]["status"].as_u64().unwrap().try_into().unwrap())
    })
    .await;
    let queue = LocalQueue::create(Setup { max_receive_count: Some(3), ..Setup::default() }).await;
    let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url());
    let addr = launch.http_addr();
    let worker = launch.spawn();
    let prometheus = Prometheus::start(addr, &slo(&["--queue", &queue.name]).await);
    let send = |status: u16| {
        queue.send(&json!({ "type": "email.send", "payload": { "status": status } }).to_string())
    };
    let patience = Duration::from_secs(60);

    // A counter must exist before it grows.
    send(200);
    send(422);
    eventually_within(patience, "both outcomes are scraped", async || {
        prometheus.query("drumline_jobs_total").await.len() == 2
    })
    .await;
    for status in [200, 200, 200, 422] {
        send(status);
    }
    eventually_within(patience, "the alert rings", async || {
        !prometheus
            .query(r#"ALERTS{alertname="DrumlineBudgetBurnsFast",alertstate="firing"}"#)
            .await
            .is_empty()
    })
    .await;
    let mut shares = Vec::new();
    eventually_within(patience, "a quarter of the jobs have missed the target", async || {
        shares = prometheus.query("drumline:missed_jobs:ratio_rate5m").await;
        matches!(&shares[..], [(_, share)] if (0.2..0.3).contains(share))
    })
    .await;
    let labels = &shares[0].0;
    assert_eq!(
        (&labels["slo"], &labels["type"], &labels["queue"]),
        (&TARGET.into(), &"email.send".into(), &(&*queue.name).into())
    );
    let ringing = prometheus.query(r#"ALERTS{alertstate="firing"}"#).await;
    let names: BTreeSet<&str> =
        ringing.iter().filter_map(|(labels, _)| labels["alertname"].as_str()).collect();
    let quiet = ["DrumlineWorkerMissing", "DrumlinePollingStalled", "DrumlineJobsFail"];
    assert!(quiet.iter().all(|name| !names.contains(name)), "{names:?}");
    dashboard::expect_data(&prometheus, &queue.name, patience).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_time_between_two_bounds_and_a_missing_queue_are_reported() {
    let target = "99% of email.send within 90s over 30d";
    let finished = Launch::new(&["slo", "--target", target, "--format", "grafana"]).finish().await;
    assert_eq!(finished.status, Some(0));
    assert!(finished.errors().ends_with("up to the next bound, 2m"), "{}", finished.errors());
    serde_json::from_str::<Value>(&finished.stdout.join("\n")).unwrap();
    for (args, expected) in [
        (["--target", target, "--format", "cloudwatch"], "--queue NAME"),
        (["--target", "99% of a", "--format", "prometheus"], "must be like"),
        (["--target", "100% of a within 2m over 30d", "--format", "grafana"], "leaves no job that may miss"),
        (
            ["--target", target, "--queue", "https://sqs.eu-central-1.amazonaws.com/1/emails"],
            "not its URL or ARN: emails",
        ),
        (["--target", target, "--target", target], "is given twice"),
    ] {
        let finished = Launch::new(&[&["slo"], &args[..]].concat()).finish().await;
        assert_eq!(finished.status, Some(64), "{args:?}");
        assert!(finished.errors().contains(expected), "{}", finished.errors());
    }
}
