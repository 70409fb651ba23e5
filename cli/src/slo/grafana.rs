//! A Grafana dashboard of the series that the Prometheus rules record, and of metrics that explain them.

use drumline::message::payload_hash;
use drumline_consumer::ExitError;
use serde_json::{Value, json};

use super::burn::number;
use super::prometheus::{braces, failing_share, missed, of_queue, own, recorded};
use super::target::Target;

const WIDTH: u32 = 12;
const HEIGHT: u32 = 8;

/// Grafana's databases hold this many characters of a title.
const MOST_TITLE_CHARS: usize = 189;

/// A panel without a position.
struct Panel {
    title: String,
    unit: &'static str,
    queries: Vec<(String, &'static str)>,
}

/// Returns the dashboard for the targets and their queue, or for all queues if there is no name.
pub(super) fn dashboard(targets: &[Target], queue: Option<&str>) -> Result<String, ExitError> {
    let panels: Vec<Panel> =
        targets.iter().flat_map(|target| of_target(target, queue)).chain(of_queues(queue)).collect();
    let panels: Vec<Value> = (0u32..).zip(panels).map(|(index, panel)| placed(index, panel)).collect();
    let names: Vec<String> = targets.iter().map(Target::to_string).collect();
    let of_queue = queue.map(|queue| format!(" on {queue}")).unwrap_or_default();
    let others = match names.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let title = format!("Drumline: {}{others}{of_queue}", names[0]);
    let dashboard = json!({
        "uid": uid(&names, queue),
        "title": title.chars().take(MOST_TITLE_CHARS).collect::<String>(),
        "tags": ["drumline"],
        "schemaVersion": 36,
        "refresh": "1m",
        "time": { "from": "now-24h", "to": "now" },
        "templating": { "list": [{
            "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus",
        }] },
        "panels": panels,
    });
    let text =
        serde_json::to_string_pretty(&dashboard).map_err(|error| ExitError::other(error.to_string()))?;
    Ok(text + "\n")
}

fn of_target(target: &Target, queue: Option<&str>) -> Vec<Panel> {
    let (slo, budget) = (target.to_string(), number(target.budget));
    let of_type = braces(
        &[vec![format!("type={}", Value::from(&*target.job_type))], of_queue(queue).into_iter().collect()]
            .concat(),
    );
    let quantile = |quantile: &str| {
        format!(
            "histogram_quantile({quantile}, sum by (queue, le) (rate(drumline_job_dwell_seconds_bucket{of_type}[5m])))"
        )
    };
    let burns = target.burns();
    let burn = |window: &str| format!("{}{} / {budget}", recorded(window), braces(&own(&slo, queue)));
    let shorts = burns.iter().map(|rate| (burn(rate.short.text), rate.short.text));
    let longs = burns.iter().map(|rate| (burn(rate.long.text), rate.long.text));
    let mut windows: Vec<(String, &'static str)> = shorts.chain(longs).collect();
    windows.sort();
    windows.dedup();
    let left = format!("1 - (\n{}\n) / {budget}", missed(target, queue, &target.period()));
    let panel = |title: String, unit, queries| Panel { title, unit, queries };
    vec![
        panel(format!("Budget left of {slo}"), "percentunit", vec![(left, "left")]),
        panel(format!("Burn rate of {}: 1 spends the budget evenly", target.job_type), "none", windows),
        panel(
            format!("From sent to done: {}", target.job_type),
            "s",
            vec![(quantile("0.5"), "p50"), (quantile("0.95"), "p95"), (quantile("0.99"), "p99")],
        ),
        panel(
            format!("Failed attempts of {}", target.job_type),
            "percentunit",
            vec![(failing_share(&target.job_type, queue), "failed")],
        ),
        panel(
            format!("Jobs of {} a second, by outcome", target.job_type),
            "none",
            vec![(
                format!("sum by (queue, outcome) (rate(drumline_jobs_total{of_type}[5m]))"),
                "{{outcome}}",
            )],
        ),
        panel(
            format!("Failed attempts of {} a second, by class", target.job_type),
            "none",
            vec![(
                format!("sum by (queue, class) (rate(drumline_failures_total{of_type}[5m]))"),
                "{{class}}",
            )],
        ),
    ]
}

fn of_queues(queue: Option<&str>) -> Vec<Panel> {
    let all = braces(of_queue(queue).as_slice());
    let panel = |title: &str, unit, queries| Panel { title: title.to_owned(), unit, queries };
    vec![
        panel(
            "Messages in the queue, and in its DLQ",
            "none",
            vec![
                (format!("max by (queue, state) (drumline_queue_depth{all})"), "{{state}}"),
                (format!("max by (queue) (drumline_dlq_depth{all})"), "dead letters"),
            ],
        ),
        panel(
            "Age of the oldest message at its receive",
            "s",
            vec![(format!("max by (queue) (drumline_oldest_message_age_seconds{all})"), "oldest")],
        ),
        panel(
            "Messages in hand of the workers",
            "none",
            vec![(format!("sum by (queue) (drumline_deliveries_in_hand{all})"), "in hand")],
        ),
        panel(
            "Workers that are paused, by reason",
            "none",
            vec![(format!("sum by (queue, reason) (drumline_paused{all})"), "{{reason}}")],
        ),
    ]
}

/// Returns an ID that is the same for the same targets, so that a second import replaces the dashboard. Grafana allows 40 letters,
/// digits, `-` and `_`.
fn uid(targets: &[String], queue: Option<&str>) -> String {
    format!("slo-{:032x}", payload_hash(queue.unwrap_or_default(), &targets.join("\n")))
}

/// Places a panel; each row has two panels.
fn placed(index: u32, panel: Panel) -> Value {
    let datasource = json!({ "type": "prometheus", "uid": "${datasource}" });
    let letters = ('A'..='Z').map(String::from);
    let targets: Vec<Value> = letters
        .zip(panel.queries)
        .map(|(letter, (expr, legend))| {
            let legend = format!("{{{{queue}}}} {legend}");
            json!({ "refId": letter, "expr": expr, "legendFormat": legend, "datasource": datasource })
        })
        .collect();
    json!({
        "id": index + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": datasource,
        "gridPos": { "x": index % 2 * WIDTH, "y": index / 2 * HEIGHT, "w": WIDTH, "h": HEIGHT },
        "fieldConfig": { "defaults": { "unit": panel.unit }, "overrides": [] },
        "targets": targets,
    })
}
