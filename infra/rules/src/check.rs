//! Checks templates: every rule at the parameters' defaults and with the optional parts switched on or off, and some rules also
//! at each parameter's bounds.

use std::collections::BTreeMap;

use crate::case::{Case, Options};
use crate::finding::{Finding, Report};
use crate::model::Stack;
use crate::rule::Rule;
use crate::rules::rules;
use crate::template::Template;
use crate::variants::{Variant, defaults, variants};
use crate::views::dashboards::dashboards;
use crate::views::functions::mappings;
use crate::views::intake::methods;
use crate::views::metrics::alarms;
use crate::views::payload_buckets::payload_buckets;
use crate::views::policies::queue_policies;
use crate::views::tasks::tasks;

/// Checks templates that are used together, for example those of one service. Findings are in the order of templates and rules.
/// A template without queues, their workers, payloads or metrics has none.
pub fn check(templates: &[Template], options: &Options<'_>) -> Vec<Finding> {
    judge_all(templates, options, true)
}

/// Checks templates only at their parameters' defaults, which is a fraction of the work of [`check`].
pub fn check_at_defaults(templates: &[Template], options: &Options<'_>) -> Vec<Finding> {
    judge_all(templates, options, false)
}

fn judge_all(templates: &[Template], options: &Options<'_>, at_variants: bool) -> Vec<Finding> {
    let together: Vec<Stack> = templates.iter().map(at_defaults).collect();
    let mut findings = Vec::new();
    for (template, stack) in templates.iter().zip(&together) {
        let variants = if at_variants { variants(&stack.parameters) } else { Vec::new() };
        // Stacks are built one at a time, because all variants together would take much memory.
        let built = |variant: &Variant| template.stack(&variant.values);
        if !is_about_queues(stack) && !variants.iter().any(|variant| is_about_queues(&built(variant))) {
            continue;
        }
        let mut own = Vec::new();
        let case = Case { stack, together: &together, options };
        for rule in rules() {
            judge(rule, &case, None, &mut own);
        }
        for variant in &variants {
            let case = Case { stack: &built(variant), together: &together, options };
            for rule in rules().filter(|rule| rule.at_bounds || !variant.is_bound) {
                judge(rule, &case, Some(&variant.label), &mut own);
            }
        }
        own.sort_by_key(|finding: &Finding| finding.rule);
        findings.extend(own);
    }
    findings
}

fn at_defaults(template: &Template) -> Stack {
    let undecided = template.stack(&BTreeMap::new());
    let values = defaults(&undecided.parameters);
    if values.is_empty() { undecided } else { template.stack(&values) }
}

/// Returns true if a stack contains anything that the rules apply to.
fn is_about_queues(stack: &Stack) -> bool {
    let has = |kind| stack.of_kind(kind).next().is_some();
    has("AWS::SQS::Queue")
        || !queue_policies(stack).is_empty()
        || !mappings(stack).is_empty()
        || !payload_buckets(stack).is_empty()
        || !tasks(stack).is_empty()
        || methods(stack).next().is_some()
        || alarms(stack).iter().flat_map(|alarm| &alarm.metrics).any(|metric| metric.namespace == "AWS/SQS")
        || dashboards(stack).iter().any(|dashboard| dashboard.text.contains("AWS/SQS"))
}

fn judge(rule: &Rule, case: &Case<'_>, variant: Option<&str>, findings: &mut Vec<Finding>) {
    let mut report = Report::new(case.stack);
    (rule.check)(case, &mut report);
    let before = findings.len();
    for (place, mut problem) in report.found {
        // A problem that also occurs at the defaults, or at another variant, is reported once.
        let is_same = |finding: &Finding| finding.rule == rule.id && finding.place.is_same(&place);
        if variant.is_some() && findings[..before].iter().any(is_same) {
            continue;
        }
        if let Some(label) = variant {
            problem = format!("{problem} ({label})");
        }
        let file = case.stack.file.clone();
        let Rule { id, title, reason, fix, .. } = *rule;
        findings.push(Finding { rule: id, title, file, place, problem, reason, fix });
    }
}
