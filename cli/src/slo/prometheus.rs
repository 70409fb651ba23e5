//! Prometheus rules: recording rules for the shares of missed jobs, and alerts.

use std::collections::BTreeMap;

use drumline_consumer::ExitError;
use serde::Serialize;

use super::burn::{Severity, number};
use super::target::Target;
use super::yaml::yaml;

/// The share of failed attempts that raises an alert. Below it, retries are normal, and the budget covers their delay.
pub(super) const FAILING: f64 = 0.1;

/// The smallest number of failed attempts in five minutes that raises an alert, so that one failure in a quiet hour does not.
pub(super) const LEAST_FAILURES: u32 = 5;

#[derive(Serialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Serialize)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Rule {
    Record {
        record: String,
        expr: String,
        labels: BTreeMap<&'static str, String>,
    },
    Alert {
        alert: &'static str,
        expr: String,
        #[serde(rename = "for")]
        lasting: &'static str,
        labels: BTreeMap<&'static str, String>,
        annotations: BTreeMap<&'static str, String>,
    },
}

/// Returns the rules for the targets and their queue, or for each queue if there is no name.
pub(super) fn rules(targets: &[Target], queue: Option<&str>) -> Result<String, ExitError> {
    let mut groups: Vec<Group> = targets.iter().map(|target| of_target(target, queue)).collect();
    groups.push(of_queues(queue));
    yaml("Prometheus rules of `drumline slo` for these targets:", targets, &Rules { groups })
}

fn of_target(target: &Target, queue: Option<&str>) -> Group {
    let slo = target.to_string();
    let burns = target.burns();
    let mut windows: Vec<_> = burns.iter().flat_map(|burn| [burn.short, burn.long]).collect();
    windows.sort_by_key(|window| window.seconds);
    windows.dedup();
    let record = |window: &str| Rule::Record {
        record: recorded(window),
        expr: missed(target, queue, window),
        labels: BTreeMap::from([("slo", slo.clone()), ("type", target.job_type.clone())]),
    };
    let mut rules: Vec<Rule> = windows.iter().map(|window| record(window.text)).collect();
    for severity in Severity::ALL {
        let of_severity = burns.iter().filter(|burn| burn.severity == severity);
        let conditions: Vec<String> = of_severity
            .map(|burn| {
                let series = |window: &str| format!("{}{}", recorded(window), braces(&own(&slo, queue)));
                let (long, short) = (series(burn.long.text), series(burn.short.text));
                let limit = number(burn.limit);
                format!("(\n  {long} > {limit}\nand\n  {short} > {limit}\n)")
            })
            .collect();
        if conditions.is_empty() {
            continue;
        }
        let (name, pace) = match severity {
            Severity::Page => ("DrumlineBudgetBurnsFast", "fast"),
            Severity::Ticket => ("DrumlineBudgetBurnsSlowly", "slowly"),
        };
        let summary =
            format!("Jobs of {} on {{{{ $labels.queue }}}} miss their target {pace}", target.job_type);
        let labels = alert_labels(severity, &slo, &target.job_type);
        rules.push(alert(name, conditions.join("\nor\n"), "0m", labels, summary, &missing_text(target)));
    }
    rules.push(alert(
        "DrumlineJobsFail",
        failing(&target.job_type, queue),
        "1m",
        alert_labels(Severity::Page, &slo, &target.job_type),
        format!("Attempts of {} on {{{{ $labels.queue }}}} fail", target.job_type),
        "More than 10 % of the attempts of the last five minutes have failed. `drumline_failures_total` has their classes.",
    ));
    Group { name: format!("drumline: {slo}"), rules }
}

fn missing_text(target: &Target) -> String {
    format!(
        "{{{{ $value | humanizePercentage }}}} of the jobs were late or became dead letters. The target is {target}."
    )
}

/// Returns the rules for a queue and all its types.
fn of_queues(queue: Option<&str>) -> Group {
    let all = braces(of_queue(queue).as_slice());
    let with = |label: &str| {
        let mut labels = vec![label.to_owned()];
        labels.extend(of_queue(queue));
        braces(&labels)
    };
    let visible = with(r#"state="visible""#);
    let operator = with(r#"reason="operator""#);
    let growth = format!(
        "max by (queue) (drumline_dlq_depth{all}) - max by (queue) (drumline_dlq_depth{all} offset 15m) > 0"
    );
    let stalled = format!(
        "min by (queue) (min_over_time(drumline_queue_depth{visible}[10m])) > 0\n\
         and\n  max by (queue) (max_over_time(drumline_deliveries_in_hand{all}[10m])) == 0\n\
         unless\n  sum by (queue) (increase(drumline_jobs_total{all}[10m])) > 0\n\
         unless\n  max by (queue) (max_over_time(drumline_paused{operator}[10m])) > 0"
    );
    let missing = format!("absent(drumline_deliveries_in_hand{all})");
    let labels = |severity: Severity| BTreeMap::from([("severity", severity.label().to_owned())]);
    let rules = vec![
        alert(
            "DrumlineDeadLettersGrow",
            growth,
            "0m",
            labels(Severity::Ticket),
            "The DLQ of {{ $labels.queue }} grows".to_owned(),
            "It has {{ $value }} messages more than 15 minutes ago. `drumline dlq list` shows why.",
        ),
        alert(
            "DrumlinePollingStalled",
            stalled,
            "2m",
            labels(Severity::Page),
            "Messages of {{ $labels.queue }} wait, and no worker receives them".to_owned(),
            "For ten minutes the queue had visible messages, and no worker had one in hand. `drumline_paused` and `/readyz?verbose` \
             say why. A pause that an operator asked for does not ring.",
        ),
        alert(
            "DrumlineWorkerMissing",
            missing,
            "10m",
            labels(Severity::Page),
            format!(
                "No worker{} reports metrics",
                queue.map(|name| format!(" of {name}")).unwrap_or_default()
            ),
            "Without a worker no other rule of this file can ring. Leave this one out if workers are scaled to none.",
        ),
    ];
    Group { name: "drumline: queues".to_owned(), rules }
}

/// Returns the name of the recorded share of jobs that missed the target.
pub(super) fn recorded(window: &str) -> String {
    format!("drumline:missed_jobs:ratio_rate{window}")
}

/// Returns the labels of the series that the rules have recorded.
pub(super) fn own(slo: &str, queue: Option<&str>) -> Vec<String> {
    let mut labels = vec![label("slo", slo)];
    labels.extend(of_queue(queue));
    labels
}

/// Returns the expression for the share of jobs that missed the target: late successes and dead letters.
///
/// A worker has no series of what has not happened since its start: no dead letters while all is well, and no dwell times if a
/// new version fails all its jobs. Each is 0 then.
pub(super) fn missed(target: &Target, queue: Option<&str>, window: &str) -> String {
    let of_type = of_type(&target.job_type, queue);
    let with = |more: String| {
        let mut labels = of_type.clone();
        labels.push(more);
        braces(&labels)
    };
    let rate = |series: String| format!("sum by (queue) (rate({series}[{window}]))");
    // The label has a decimal, as the worker writes it.
    let in_time =
        rate(format!("drumline_job_dwell_seconds_bucket{}", with(format!("le=\"{:?}\"", target.bound))));
    let done = rate(format!("drumline_job_dwell_seconds_count{}", braces(&of_type)));
    let dead = rate(format!("drumline_jobs_total{}", with(r#"outcome="dead_letter""#.to_owned())));
    format!(
        "1 -\n\
         \x20 ({in_time} or 0 * {dead})\n\
         /\n\
         \x20 (\n\
         \x20   ({done} or 0 * {dead})\n\
         \x20 +\n\
         \x20   ({dead} or 0 * {done})\n\
         \x20 )"
    )
}

/// Returns the expression for the share of failed attempts, without those that a shutdown interrupted.
pub(super) fn failing_share(job_type: &str, queue: Option<&str>) -> String {
    let failed = failures(job_type, queue, "rate");
    let mut labels = of_type(job_type, queue);
    labels.push(r#"outcome="ack""#.to_owned());
    let succeeded = format!("sum by (queue) (rate(drumline_jobs_total{}[5m]))", braces(&labels));
    // Without a success since the start of the worker there is no such series.
    format!("{failed}\n/\n  ({failed} + ({succeeded} or 0 * {failed}))")
}

fn failing(job_type: &str, queue: Option<&str>) -> String {
    let (share, count) = (failing_share(job_type, queue), failures(job_type, queue, "increase"));
    format!("(\n  {share}\n) > {FAILING}\nand\n  {count} >= {LEAST_FAILURES}")
}

fn failures(job_type: &str, queue: Option<&str>, function: &str) -> String {
    let mut labels = of_type(job_type, queue);
    labels.push(r#"class!="interrupted""#.to_owned());
    format!("sum by (queue) ({function}(drumline_failures_total{}[5m]))", braces(&labels))
}

fn of_type(job_type: &str, queue: Option<&str>) -> Vec<String> {
    let mut labels = vec![label("type", job_type)];
    labels.extend(of_queue(queue));
    labels
}

pub(super) fn of_queue(queue: Option<&str>) -> Option<String> {
    queue.map(|queue| label("queue", queue))
}

/// Returns a condition on a label. The value is quoted as JSON, because queries have the same escapes.
fn label(name: &str, value: &str) -> String {
    format!("{name}={}", serde_json::Value::from(value))
}

pub(super) fn braces(labels: &[String]) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) }
}

fn alert_labels(severity: Severity, slo: &str, job_type: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("severity", severity.label().to_owned()),
        ("slo", slo.to_owned()),
        ("type", job_type.to_owned()),
    ])
}

fn alert(
    name: &'static str,
    expr: String,
    lasting: &'static str,
    labels: BTreeMap<&'static str, String>,
    summary: String,
    description: &str,
) -> Rule {
    let annotations = BTreeMap::from([("summary", summary), ("description", description.to_owned())]);
    Rule::Alert { alert: name, expr, lasting, labels, annotations }
}
