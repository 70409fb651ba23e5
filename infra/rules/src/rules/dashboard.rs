//! O01 to O03: logs and dashboards.

use std::collections::BTreeSet;

use crate::case::Case;
use crate::finding::Report;
use crate::rule::Rule;
use crate::value::{has_token, int};
use crate::views::dashboards::{Shown, dashboards};
use crate::views::known_metrics::{CATALOGUE, exists};

/// The retentions that CloudWatch Logs allows, in days. See
/// [the reference](https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html).
const RETENTIONS: [i64; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

pub(super) const RULES: [Rule; 3] = [
    Rule {
        id: "O01",
        title: "every log group has a retention that CloudWatch knows",
        reason: "Without a retention, logs and their cost are kept for ever.",
        fix: "Set RetentionInDays to one of CloudWatch's values.",
        at_bounds: false,
        check: logs_end,
    },
    Rule {
        id: "O02",
        title: "a dashboard's body parses, its metrics exist, and one with metrics of the runtime shows all of them",
        reason: "A widget of a metric that does not exist stays empty. A metric that is not shown stays unnoticed.",
        fix: "Correct the name; add the missing metric of the runtime.",
        at_bounds: false,
        check: shows_what_exists,
    },
    Rule {
        id: "O03",
        title: "a dashboard with queues shows depth, in flight, oldest age, DLQ depth, sent and deleted, time to drain, tasks or concurrency, errors and empty receives",
        reason: "These are the questions in the first minutes of an incident.",
        fix: "Add the missing widget.",
        at_bounds: false,
        check: answers_first_questions,
    },
];

fn logs_end(case: &Case<'_>, report: &mut Report<'_>) {
    let at = "/RetentionInDays";
    for (id, group) in case.stack.of_kind("AWS::Logs::LogGroup") {
        match group.get(at) {
            None => report.at(id, group, at, "it is missing"),
            Some(days) if int(days).is_some_and(|days| !RETENTIONS.contains(&days)) => {
                report.at(id, group, at, format!("CloudWatch has no retention of {days} days"));
            }
            Some(_) => {}
        }
    }
}

fn shows_what_exists(case: &Case<'_>, report: &mut Report<'_>) {
    let at = "/DashboardBody";
    for dashboard in dashboards(case.stack) {
        if let Err(problem) = &dashboard.body {
            report.at(dashboard.id, dashboard.resource, at, format!("it is no JSON: {problem}"));
            continue;
        }
        let shown = dashboard.shown();
        let mut unknown = BTreeSet::new();
        for metric in shown.metrics.iter().filter(|metric| !has_token(&metric.name)) {
            if exists(&metric.namespace, &metric.name) == Some(false) {
                unknown.insert(format!("{} has no metric {}", metric.namespace, metric.name));
            }
        }
        for found in unknown {
            report.at(dashboard.id, dashboard.resource, at, found);
        }
        if CATALOGUE.iter().any(|name| dashboard.text.contains(name)) {
            for name in CATALOGUE.iter().filter(|name| !dashboard.text.contains(*name)) {
                report.at(dashboard.id, dashboard.resource, at, format!("{name} is not shown"));
            }
        }
    }
}

fn answers_first_questions(case: &Case<'_>, report: &mut Report<'_>) {
    for dashboard in dashboards(case.stack) {
        let shown = dashboard.shown();
        if !shown.metrics.iter().any(|metric| metric.namespace == "AWS/SQS") {
            continue;
        }
        for (question, answered) in questions(&shown, &dashboard.text) {
            if !answered {
                report.at(
                    dashboard.id,
                    dashboard.resource,
                    "/DashboardBody",
                    format!("it does not show {question}"),
                );
            }
        }
    }
}

fn questions(shown: &Shown, text: &str) -> [(&'static str, bool); 10] {
    let sqs = |name: &str| shown.metrics.iter().any(|metric| metric.is("AWS/SQS", name));
    let depth = "ApproximateNumberOfMessagesVisible";
    let of_queues: BTreeSet<&str> = shown
        .metrics
        .iter()
        .filter(|metric| metric.is("AWS/SQS", depth))
        .filter_map(|metric| metric.dimension("QueueName"))
        .collect();
    let drains = |(title, expression): &(String, String)| {
        title.to_ascii_lowercase().contains("drain") && expression.contains('/')
    };
    let has = |names: &[&str]| names.iter().any(|name| text.contains(name));
    [
        ("the queue's depth", !of_queues.is_empty()),
        ("messages in flight", sqs("ApproximateNumberOfMessagesNotVisible")),
        ("the oldest message's age", sqs("ApproximateAgeOfOldestMessage")),
        ("the DLQ's depth", of_queues.len() > 1),
        ("messages sent", sqs("NumberOfMessagesSent")),
        ("messages deleted", sqs("NumberOfMessagesDeleted")),
        ("the time to drain", shown.expressions.iter().any(drains)),
        ("tasks or concurrency", has(&["RunningTaskCount", "ConcurrentExecutions"])),
        ("errors", has(&["\"Errors\"", "drumline_failures_total"])),
        ("empty receives", has(&["NumberOfEmptyReceives", "drumline_empty_receives_total"])),
    ]
}
