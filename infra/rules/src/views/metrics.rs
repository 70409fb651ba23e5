//! Metrics where alarms and scaling policies name them.

use serde_json::Value;

use super::queues::Queue;
use crate::model::{Resource, Stack, Target};
use crate::value::{has_token, int, is_unclear, items, number, plain};

/// How long a period is where nothing is said, in seconds.
const DEFAULT_PERIOD_SECS: i64 = 300;

/// How many of the newest points may lack a metric that is late.
const LATE_POINTS: i64 = 2;

/// A metric that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Metric {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) dimensions: Vec<(String, String)>,
    /// To where it is, in the resource's properties.
    pub(crate) pointer: String,
}

impl Metric {
    fn new(value: &Value, pointer: &str) -> Option<Self> {
        let dimensions = items(value.get("Dimensions")).iter();
        Some(Self {
            namespace: value.get("Namespace")?.as_str()?.to_owned(),
            name: value.get("MetricName")?.as_str()?.to_owned(),
            dimensions: dimensions.map(|pair| (plain(&pair["Name"]), plain(&pair["Value"]))).collect(),
            pointer: pointer.to_owned(),
        })
    }

    pub(crate) fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }

    pub(crate) fn dimension(&self, name: &str) -> Option<&str> {
        self.dimensions.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether it is this queue's, whichever way the template says so.
    pub(crate) fn is_of(&self, queue: &Queue<'_>) -> bool {
        self.dimension("QueueName").is_some_and(|name| queue.is_meant_by(name))
    }
}

/// The metrics in a list of queries, as alarms and scaling policies have them.
pub(crate) fn in_queries(queries: &[Value], pointer: &str) -> Vec<Metric> {
    let queries = queries.iter().enumerate();
    queries
        .filter_map(|(index, query)| {
            let metric = query.get("MetricStat")?.get("Metric")?;
            Metric::new(metric, &format!("{pointer}/{index}/MetricStat/Metric"))
        })
        .collect()
}

/// An alarm.
pub(crate) struct Alarm<'a> {
    pub(crate) id: &'a str,
    pub(crate) resource: &'a Resource,
    pub(crate) metrics: Vec<Metric>,
}

/// The alarms of a stack.
pub(crate) fn alarms(stack: &Stack) -> Vec<Alarm<'_>> {
    stack
        .of_kind("AWS::CloudWatch::Alarm")
        .map(|(id, resource)| {
            let mut metrics = in_queries(items(resource.get("/Metrics")), "/Metrics");
            metrics.extend(Metric::new(&resource.properties, ""));
            Alarm { id, resource, metrics }
        })
        .collect()
}

/// Whether one of the alarms may be any: then it cannot be said that one is missing.
pub(crate) fn may_be_any(alarms: &[Alarm<'_>]) -> bool {
    alarms.iter().any(Alarm::is_unclear)
}

impl Alarm<'_> {
    pub(crate) fn has(&self, namespace: &str, name: &str) -> bool {
        self.metrics.iter().any(|metric| metric.is(namespace, name))
    }

    /// Returns true if it watches a queue or the tasks of a service.
    pub(crate) fn is_of_queue_or_tasks(&self) -> bool {
        self.metrics
            .iter()
            .any(|metric| ["AWS/SQS", "ECS/ContainerInsights"].contains(&metric.namespace.as_str()))
    }

    /// In seconds, of the only metric or the first.
    pub(crate) fn period(&self) -> Option<i64> {
        let of_query = || {
            self.resource
                .get("/Metrics/0/MetricStat/Period")
                .or_else(|| self.resource.get("/Metrics/0/Period"))
        };
        self.resource.get("/Period").or_else(of_query).map_or(Some(DEFAULT_PERIOD_SECS), int)
    }

    /// Of the only metric or the first.
    pub(crate) fn statistic(&self) -> Option<&str> {
        self.resource.text("/Statistic").or_else(|| self.resource.text("/Metrics/0/MetricStat/Stat"))
    }

    /// How many data points have to breach.
    pub(crate) fn needed_points(&self) -> Option<i64> {
        let needed =
            self.resource.get("/DatapointsToAlarm").or_else(|| self.resource.get("/EvaluationPeriods"));
        needed.map_or(Some(1), int)
    }

    /// Whether late points decide nothing, whichever value they have: they are too few to ring, and the others are enough to.
    pub(crate) fn allows_late_points(&self) -> bool {
        let evaluated = self.resource.get("/EvaluationPeriods").and_then(int);
        self.needed_points()
            .zip(evaluated)
            .is_none_or(|(needed, evaluated)| needed > LATE_POINTS && evaluated >= needed + LATE_POINTS)
    }

    /// How long the condition has to hold, in seconds.
    pub(crate) fn holds_for(&self) -> Option<i64> {
        self.period()?.checked_mul(self.needed_points()?)
    }

    pub(crate) fn threshold(&self) -> Option<f64> {
        self.resource.get("/Threshold").and_then(number)
    }

    /// Whether what it watches, or what it does, could not be worked out: then it may be any alarm.
    pub(crate) fn is_unclear(&self) -> bool {
        let parts = ["/Namespace", "/MetricName", "/Dimensions", "/Metrics", "/AlarmActions"];
        parts.iter().filter_map(|at| self.resource.get(at)).any(is_unclear)
    }

    /// Whether it rings as soon as there is one.
    pub(crate) fn rings_at_one(&self) -> Option<bool> {
        let threshold = self.threshold()?;
        match self.resource.text("/ComparisonOperator")? {
            "GreaterThanThreshold" => Some((0.0..1.0).contains(&threshold)),
            "GreaterThanOrEqualToThreshold" => Some(threshold > 0.0 && threshold <= 1.0),
            operator => (!has_token(operator)).then_some(false),
        }
    }

    /// Whether it starts or stops tasks instead of telling somebody.
    pub(crate) fn scales(&self, stack: &Stack) -> bool {
        self.resource.references_at("/AlarmActions").any(|to| match to {
            Target::Resource { id, .. } => stack
                .resources
                .get(id)
                .is_some_and(|to| to.kind == "AWS::ApplicationAutoScaling::ScalingPolicy"),
            _ => false,
        })
    }

    /// Whether it rings above its threshold.
    pub(crate) fn rings_above(&self) -> bool {
        self.resource
            .text("/ComparisonOperator")
            .is_some_and(|operator| operator.starts_with("GreaterThan") || has_token(operator))
    }
}
