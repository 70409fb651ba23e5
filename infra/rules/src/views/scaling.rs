//! The scaling of workers' ECS services.

use serde_json::Value;

use super::metrics::{Metric, in_queries};
use super::tasks::{Task, scales, tasks};
use crate::model::{Resource, Stack};
use crate::value::{int, items, truth};

/// A scalable target that is the desired count of a worker's service.
pub(crate) struct Target<'a> {
    pub(crate) id: &'a str,
    pub(crate) resource: &'a Resource,
    pub(crate) task: Task<'a>,
    pub(crate) policies: Vec<Policy<'a>>,
}

/// A scaling policy.
#[derive(Clone, Copy)]
pub(crate) struct Policy<'a> {
    pub(crate) id: &'a str,
    pub(crate) resource: &'a Resource,
}

/// A query of a metric-math policy.
pub(crate) struct Query<'a> {
    pub(crate) id: &'a str,
    pub(crate) expression: Option<&'a str>,
    /// True if the query returns the policy's value, which is the default.
    pub(crate) returns: bool,
}

const TRACKING: &str = "/TargetTrackingScalingPolicyConfiguration";

/// Returns the scalable targets of workers.
pub(crate) fn targets(stack: &Stack) -> Vec<Target<'_>> {
    let mut targets = Vec::new();
    for task in tasks(stack) {
        let services = task.services(stack);
        let scaled = stack
            .of_kind("AWS::ApplicationAutoScaling::ScalableTarget")
            .find(|(_, target)| services.iter().any(|(id, service)| scales(target, id, service)));
        if let Some((id, resource)) = scaled {
            let of_target = |(_, policy): &(&str, &Resource)| {
                policy.refers_to("/ScalingTargetId", id)
                    || policy.text("/ResourceId").is_some_and(|at| Some(at) == resource.text("/ResourceId"))
            };
            let policies = stack.of_kind("AWS::ApplicationAutoScaling::ScalingPolicy").filter(of_target);
            let policies = policies.map(|(id, resource)| Policy { id, resource }).collect();
            targets.push(Target { id, resource, task, policies });
        }
    }
    targets
}

impl<'a> Target<'a> {
    pub(crate) fn least(&self) -> Option<i64> {
        self.resource.get("/MinCapacity").and_then(int)
    }

    pub(crate) fn greatest(&self) -> Option<i64> {
        self.resource.get("/MaxCapacity").and_then(int)
    }

    /// Returns the policies that hold a custom metric or an expression at a target value.
    pub(crate) fn tracking(&self) -> impl Iterator<Item = Policy<'a>> {
        self.policies
            .iter()
            .copied()
            .filter(|policy| policy.tracking("/CustomizedMetricSpecification").is_some())
    }
}

impl<'a> Policy<'a> {
    /// Returns a property of the target tracking, if the policy is that.
    pub(crate) fn tracking(&self, property: &str) -> Option<&'a Value> {
        self.resource.get(&format!("{TRACKING}{property}"))
    }

    /// Returns a pointer to a property of the target tracking.
    pub(crate) fn pointer(property: &str) -> String {
        format!("{TRACKING}{property}")
    }

    pub(crate) fn queries(&self) -> Vec<Query<'a>> {
        queries(items(self.tracking("/CustomizedMetricSpecification/Metrics")))
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let at = Self::pointer("/CustomizedMetricSpecification/Metrics");
        in_queries(items(self.tracking("/CustomizedMetricSpecification/Metrics")), &at)
    }
}

/// Returns the queries of a policy or an alarm.
pub(crate) fn queries(list: &[Value]) -> Vec<Query<'_>> {
    list.iter()
        .map(|query| Query {
            id: query["Id"].as_str().unwrap_or_default(),
            expression: query["Expression"].as_str(),
            returns: query.get("ReturnData").and_then(truth).unwrap_or(true),
        })
        .collect()
}

/// A word of an expression in metric math.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    pub(crate) text: &'a str,
    /// The position of its first character.
    pub(crate) at: usize,
    /// True if it is called as a function.
    pub(crate) called: bool,
}

/// Returns the names in an expression: functions, and IDs of other queries, which start in lower case. Quoted texts are
/// skipped.
pub(crate) fn words(expression: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut quote = None;
    let mut begin = None;
    for (at, c) in expression.char_indices().chain([(expression.len(), ' ')]) {
        let in_word = quote.is_none() && (c.is_ascii_alphanumeric() || c == '_');
        match (begin, in_word) {
            (None, true) => begin = Some(at),
            (Some(from), false) => {
                let text = &expression[from..at];
                if text.starts_with(|c: char| c.is_ascii_alphabetic()) {
                    let called = expression[at..].trim_start().starts_with('(');
                    words.push(Word { text, at: from, called });
                }
                begin = None;
            }
            _ => {}
        }
        match quote {
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ => {}
        }
    }
    words
}

/// Returns the IDs of other queries in an expression.
pub(crate) fn ids(expression: &str) -> impl Iterator<Item = &str> {
    let is_id = |word: &Word<'_>| !word.called && word.text.starts_with(|c: char| c.is_ascii_lowercase());
    words(expression).into_iter().filter(is_id).map(|word| word.text)
}
