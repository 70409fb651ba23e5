//! S02 to S05: the metric by which tasks are added and removed.

use std::collections::BTreeSet;

use crate::case::Case;
use crate::finding::Report;
use crate::model::Resource;
use crate::rule::Rule;
use crate::value::{items, plain};
use crate::views::metrics::alarms;
use crate::views::scaling::{Policy, Query, Word, ids, queries, targets, words};

const QUERIES: &str = "/CustomizedMetricSpecification/Metrics";

/// The metrics in the expected wait.
const INPUTS: [(&str, &str); 3] = [
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
    ("AWS/SQS", "ApproximateNumberOfMessagesNotVisible"),
    ("ECS/ContainerInsights", "RunningTaskCount"),
];

pub(super) const RULES: [Rule; 4] = [
    Rule {
        id: "S02",
        title: "exactly one metric of a tracking policy returns data, and it is an expression",
        reason: "AWS refuses anything else; a plain queue depth as the target does not know how many tasks share it.",
        fix: "ReturnData: false on every input, and an expression of the expected wait that returns data.",
        at_bounds: false,
        check: one_expression,
    },
    Rule {
        id: "S03",
        title: "its inputs are visible messages, messages in flight and the running tasks, with Container Insights on",
        reason: "Without the messages in flight, tasks are removed while they work; without Container Insights there is no count, and target tracking does nothing.",
        fix: "Use AWS/SQS ApproximateNumberOfMessagesVisible and …NotVisible, and ECS/ContainerInsights RunningTaskCount.",
        at_bounds: false,
        check: all_inputs,
    },
    Rule {
        id: "S04",
        title: "every id in an expression exists and every input is used",
        reason: "AWS refuses unknown ids when the policy is made; an input that is not used was meant to be.",
        fix: "Correct the ids.",
        at_bounds: false,
        check: ids_fit,
    },
    Rule {
        id: "S05",
        title: "a division is guarded against zero, and no metric in an expression is FILLed with a number, but for an alarm that notifies and in which late points decide nothing",
        reason: "Metrics arrive up to two minutes late. FILL(visible, 0) makes the newest points 0 for all that time, so an alarm or target tracking that needs several points in a row never acts, and one that acts on the newest point acts on an invented one. An alarm on dead tasks needs the number, because tasks that do not run report nothing; by M of N, with M from 3 to N - 2, the late points neither trigger nor suppress it.",
        fix: "Divide by IF(tasks > 0, tasks, 1), and write FILL(id, REPEAT) or no FILL at all. A number may fill what REPEAT leaves: FILL(FILL(id, REPEAT), 0). In an alarm to a topic, set DatapointsToAlarm to 3 or more and to EvaluationPeriods - 2 or less.",
        at_bounds: false,
        check: newest_point_is_real,
    },
];

/// Returns the tracking policies of workers that use expressions.
fn policies<'a>(case: &Case<'a>) -> Vec<Policy<'a>> {
    targets(case.stack).iter().flat_map(|target| target.tracking().collect::<Vec<_>>()).collect()
}

fn one_expression(case: &Case<'_>, report: &mut Report<'_>) {
    for policy in policies(case) {
        let queries = policy.queries();
        let returning: Vec<&Query<'_>> = queries.iter().filter(|query| query.returns).collect();
        let problem = match returning.as_slice() {
            [query] if query.expression.is_some() => continue,
            [] => "no metric returns data, or there is no expression".to_owned(),
            [query] => format!("{} returns data and is no expression", query.id),
            several => format!("{} metrics return data", several.len()),
        };
        report.at(policy.id, policy.resource, &Policy::pointer(QUERIES), problem);
    }
}

fn all_inputs(case: &Case<'_>, report: &mut Report<'_>) {
    for policy in policies(case) {
        let metrics = policy.metrics();
        for (namespace, name) in INPUTS {
            if !metrics.iter().any(|metric| metric.is(namespace, name)) {
                report.at(
                    policy.id,
                    policy.resource,
                    &Policy::pointer(QUERIES),
                    format!("{name} is not among its inputs"),
                );
            }
        }
        for (id, cluster) in case.stack.of_kind("AWS::ECS::Cluster") {
            let on = items(cluster.get("/ClusterSettings")).iter().any(|setting| {
                setting["Name"] == "containerInsights"
                    && ["enabled", "enhanced"].contains(&plain(&setting["Value"]).as_str())
            });
            if !on {
                report.at(id, cluster, "/ClusterSettings", "Container Insights is not on");
            }
        }
    }
}

fn ids_fit(case: &Case<'_>, report: &mut Report<'_>) {
    for policy in policies(case) {
        let queries = policy.queries();
        let known: BTreeSet<&str> = queries.iter().map(|query| query.id).collect();
        let mut used = BTreeSet::new();
        for expression in queries.iter().filter_map(|query| query.expression) {
            used.extend(ids(expression));
        }
        let at = Policy::pointer(QUERIES);
        for id in used.difference(&known) {
            report.at(policy.id, policy.resource, &at, format!("no metric has the id {id}"));
        }
        for query in queries.iter().filter(|query| !query.returns && !used.contains(query.id)) {
            report.at(policy.id, policy.resource, &at, format!("{} is not used", query.id));
        }
    }
}

/// Returns true if a division by zero is possible: the divisor is neither `MAX(…)` nor `IF(…)`, nor another expression with one
/// of them.
fn divides_by_zero(expression: &str, others: &[Query<'_>]) -> bool {
    let words = words(expression);
    expression.match_indices('/').any(|(at, _)| {
        let divisor = words.iter().find(|word| word.at > at);
        let is_least = divisor.is_some_and(|word| is_guarded(word, others));
        let is_number =
            divisor.is_none() || expression[at + 1..].trim_start().starts_with(|c: char| c.is_ascii_digit());
        let in_if = words.iter().any(|word| word.called && word.text == "IF" && word.at < at);
        !(is_least || is_number || in_if)
    })
}

/// The maximum depth of expressions that are looked up within each other.
const MAX_NESTED: u32 = 8;

fn is_guarded(divisor: &Word<'_>, others: &[Query<'_>]) -> bool {
    let is_guard = divisor.called && ["MAX", "IF"].contains(&divisor.text);
    is_guard || !divisor.called && is_positive(divisor.text, others, MAX_NESTED)
}

/// Returns true if a query is an expression that tests for more than zero, or contains such an expression.
fn is_positive(id: &str, queries: &[Query<'_>], nested: u32) -> bool {
    let expression = queries.iter().find(|query| query.id == id).and_then(|query| query.expression);
    let Some(expression) = expression.filter(|_| nested > 0) else { return false };
    let dense: String = expression.split_whitespace().collect();
    let tests = dense.contains("IF(") && (dense.contains(">0") || dense.contains(">=1"));
    let mut inner = ids(expression).filter(|inner| *inner != id);
    tests || inner.any(|inner| is_positive(inner, queries, nested - 1))
}

/// Returns the metric that an expression fills with a number, alone or as part of the filled series.
fn filled_with_number<'a>(expression: &str, queries: &'a [Query<'_>]) -> Option<&'a str> {
    let dense: String = expression.split_whitespace().collect();
    let metrics = queries.iter().filter(|query| query.expression.is_none()).map(|query| query.id);
    let metrics: Vec<&str> = metrics.collect();
    dense.match_indices(FILL).find_map(|(at, _)| {
        let (series, filler) = arguments(&dense[at + FILL.len()..])?;
        let is_repeated = ["REPEAT", "LINEAR"].iter().any(|with| filler.starts_with(with));
        // An inner FILL leaves the minutes before the first point.
        let is_left_over = series.starts_with(FILL) && arguments(&series[FILL.len()..])?.1.ends_with(')');
        let metric = ids(series).find_map(|id| metrics.iter().copied().find(|metric| *metric == id));
        metric.filter(|_| !is_repeated && !is_left_over)
    })
}

const FILL: &str = "FILL(";

/// Splits the text after the bracket of a call with two arguments at the comma between them.
fn arguments(call: &str) -> Option<(&str, &str)> {
    let mut depth = 0;
    let comma = call.char_indices().find_map(|(at, c)| {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        (c == ',' && depth == 0).then_some(at)
    })?;
    Some((&call[..comma], &call[comma + 1..]))
}

fn newest_point_is_real(case: &Case<'_>, report: &mut Report<'_>) {
    let mut judge = |id: &str, resource: &Resource, at: &str, queries: &[Query<'_>], may_fill: bool| {
        for expression in queries.iter().filter_map(|query| query.expression) {
            if divides_by_zero(expression, queries) {
                report.at(id, resource, at, format!("{expression} may divide by zero"));
            }
            if let Some(metric) = filled_with_number(expression, queries).filter(|_| !may_fill) {
                report.at(id, resource, at, format!("{metric} is FILLed with a number in {expression}"));
            }
        }
    };
    for policy in policies(case) {
        judge(policy.id, policy.resource, &Policy::pointer(QUERIES), &policy.queries(), false);
    }
    for alarm in alarms(case.stack).iter().filter(|alarm| alarm.is_of_queue_or_tasks()) {
        let may_fill = !alarm.scales(case.stack) && alarm.allows_late_points();
        judge(
            alarm.id,
            alarm.resource,
            "/Metrics",
            &queries(items(alarm.resource.get("/Metrics"))),
            may_fill,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisions_are_guarded_by_if_or_max() {
        for safe in [
            "IF(FILL(t,0) > 0, v / FILL(t,0), v)",
            "v / MAX([t, 1])",
            "(v + f) / IF(t > 0, t, 1)",
            "a + b",
            "v / 60",
            "PERIOD(v) / 1e3",
        ] {
            assert!(!divides_by_zero(safe, &[]), "{safe}");
        }
        for unsafe_one in ["v / t", "(v + f) / FILL(t, 0)", "v/(t)"] {
            assert!(divides_by_zero(unsafe_one, &[]), "{unsafe_one}");
        }
        let query = |id, expression| Query { id, expression: Some(expression), returns: false };
        let others = [
            query("tasks", "IF(t > 0, t, 1)"),
            query("slots", "32 * IF(v >= 0, tasks)"),
            query("late", "FILL(t, REPEAT)"),
            query("round", "32 * IF(v >= 0, round)"),
        ];
        for (expression, divides) in [("v / slots", false), ("v / late", true), ("v / round", true)] {
            assert_eq!(divides_by_zero(expression, &others), divides, "{expression}");
        }
    }

    #[test]
    fn a_number_may_fill_what_repeat_leaves() {
        let queries = [Query { id: "m", expression: None, returns: false }];
        for (expression, filled) in [
            ("FILL(m, 0)", Some("m")),
            ("1 + FILL( m , 5 )", Some("m")),
            ("FILL(m, other)", Some("m")),
            ("FILL(m, REPEAT)", None),
            ("FILL(FILL(m, REPEAT), 0)", None),
            ("FILL(FILL(m, REPEAT) - m, 0)", Some("m")),
            ("FILL(1 - m, 0)", Some("m")),
            ("FILL(SUM([m, m]), 0)", Some("m")),
            ("FILL(other, 0)", None),
            ("SUM([m, m])", None),
        ] {
            assert_eq!(filled_with_number(expression, &queries), filled, "{expression}");
        }
    }

    #[test]
    fn ids_are_the_names_that_are_not_called() {
        let found: Vec<&str> =
            ids("IF(FILL(tasks, 0) > 0, (visible + m2) / tasks, SEARCH('{AWS/SQS} visible', 'Sum'))")
                .collect();
        assert_eq!(found, ["tasks", "visible", "m2", "tasks"]);
    }
}
