//! Judging templates: every rule at the parameters' defaults, and some at each parameter's bounds too.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::case::{Case, Options};
use crate::finding::{Finding, Report};
use crate::model::{Parameter, Stack};
use crate::rule::Rule;
use crate::rules::rules;
use crate::template::Template;
use crate::views::dashboards::dashboards;
use crate::views::functions::mappings;
use crate::views::metrics::alarms;
use crate::views::policies::queue_policies;
use crate::views::tasks::tasks;

/// Judges templates that are used together: of one service, say. Findings are in the order of templates and rules. A
/// template without queues, their workers or their metrics has none.
pub fn check(templates: &[Template], options: &Options<'_>) -> Vec<Finding> {
    let together: Vec<Stack> = templates.iter().map(|template| template.stack(&BTreeMap::new())).collect();
    let mut findings = Vec::new();
    for (template, stack) in templates.iter().zip(&together).filter(|(_, stack)| is_about_queues(stack)) {
        let mut own = Vec::new();
        let case = Case { stack, together: &together, options };
        for rule in rules() {
            judge(rule, &case, None, &mut own);
        }
        for (name, value) in bounds(&stack.parameters) {
            let values = BTreeMap::from([(name.clone(), value.clone())]);
            let at_bound = template.stack(&values);
            let case = Case { stack: &at_bound, together: &together, options };
            for rule in rules().filter(|rule| rule.at_bounds) {
                judge(rule, &case, Some((&name, &value)), &mut own);
            }
        }
        own.sort_by_key(|finding: &Finding| finding.rule);
        findings.extend(own);
    }
    findings
}

/// Whether there is anything in a stack that the rules are for.
fn is_about_queues(stack: &Stack) -> bool {
    let has = |kind| stack.of_kind(kind).next().is_some();
    has("AWS::SQS::Queue")
        || !queue_policies(stack).is_empty()
        || !mappings(stack).is_empty()
        || !tasks(stack).is_empty()
        || alarms(stack).iter().flat_map(|alarm| &alarm.metrics).any(|metric| metric.namespace == "AWS/SQS")
        || dashboards(stack).iter().any(|dashboard| dashboard.text.contains("AWS/SQS"))
}

fn judge(rule: &Rule, case: &Case<'_>, bound: Option<(&str, &Value)>, findings: &mut Vec<Finding>) {
    let mut report = Report::new(case.stack);
    (rule.check)(case, &mut report);
    let before = findings.len();
    for (place, mut problem) in report.found {
        // What is wrong at the default too, or at another bound, is told once.
        let is_told = |finding: &Finding| finding.rule == rule.id && finding.place == place;
        if bound.is_some() && findings[..before].iter().any(is_told) {
            continue;
        }
        if let Some((name, value)) = bound {
            problem = format!("{problem} (where {name} is {value})");
        }
        let file = case.stack.file.clone();
        let Rule { id, title, reason, fix, .. } = *rule;
        findings.push(Finding { rule: id, title, file, place, problem, reason, fix });
    }
}

/// The least and the greatest value of every parameter that is a number.
fn bounds(parameters: &BTreeMap<String, Parameter>) -> Vec<(String, Value)> {
    let mut bounds = Vec::new();
    for (name, parameter) in parameters {
        let listed = || parameter.allowed.iter().filter_map(crate::value::number);
        let least = parameter.min.or_else(|| listed().reduce(f64::min));
        let greatest = parameter.max.or_else(|| listed().reduce(f64::max));
        bounds.extend([least, greatest].into_iter().flatten().map(|bound| (name.clone(), whole(bound))));
    }
    bounds
}

/// Bounds are written as integers; as floats they would read as `5.0` in texts that are built of them.
fn whole(number: f64) -> Value {
    crate::value::int(&Value::from(number)).map_or_else(|| Value::from(number), Value::from)
}
