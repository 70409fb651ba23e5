//! Problems of templates and of live queues, found by one set of rules.

use drumline_infra_rules::Finding;
use drumline_runtime::Diagnostic;
use serde::Serialize;

use crate::preflight::{Check, Verdict};

/// A problem in a template, a live queue or the settings.
#[derive(Debug, Serialize)]
pub(crate) struct Diagnosis {
    /// The rule's id. The rules' own documentation lists those of templates; R and D are rules for settings and live queues.
    pub(crate) rule: &'static str,
    /// The template's file and line, or the queue.
    pub(crate) place: String,
    /// The resource and its property, if known.
    pub(crate) part: String,
    /// The problem.
    #[serde(rename = "found")]
    pub(crate) problem: String,
    /// The reason why the problem matters.
    pub(crate) reason: &'static str,
    /// The remedy.
    #[serde(rename = "mend")]
    pub(crate) fix: &'static str,
}

impl Diagnosis {
    /// Creates a diagnosis from a template rule's finding in a template.
    pub(crate) fn in_template(finding: Finding) -> Self {
        let line = finding.place.line.map(|line| format!(":{line}")).unwrap_or_default();
        Self::of_finding(format!("{}{line}", finding.file), finding)
    }

    /// Creates a diagnosis from a template rule's finding in a live queue.
    pub(crate) fn in_queue(queue: &str, finding: Finding) -> Self {
        Self::of_finding(queue.to_owned(), finding)
    }

    /// Creates a diagnosis from a comparison of the settings with a queue.
    pub(crate) fn of_settings(queue: &str, advice: Diagnostic) -> Self {
        let Diagnostic { id, problem, reason, fix } = advice;
        Self { rule: id, place: queue.to_owned(), part: String::new(), problem, reason, fix }
    }

    /// Returns a diagnosis for each checked permission that the worker lacks.
    pub(crate) fn of_permissions(queue: &str, checks: Vec<Check>) -> impl Iterator<Item = Self> {
        let lacking = |check: &Check| check.verdict == Verdict::Failed && check.name.starts_with("sqs:");
        checks.into_iter().filter(lacking).map(|Check { name, detail, .. }| Self {
            rule: "A01",
            place: queue.to_owned(),
            part: name.to_owned(),
            problem: detail,
            reason: "a message that cannot be deleted or hidden is run again and again, until it is in the DLQ",
            fix: "allow the action on this queue in the policy of the worker's role",
        })
    }

    fn of_finding(place: String, finding: Finding) -> Self {
        let Finding { rule, place: within, problem, reason, fix, .. } = finding;
        let name = within.name.unwrap_or_default();
        let part = if within.path.is_empty() { name } else { format!("{name}.{}", within.path) };
        Self { rule, place, part, problem, reason, fix }
    }
}
