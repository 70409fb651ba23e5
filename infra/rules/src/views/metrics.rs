//! Metrics in alarms and scaling policies.

use serde_json::Value;

use super::queues::Queue;
use crate::model::{Resource, Stack, Target};
use crate::value::{has_token, int, is_unclear, items, number, plain};

/// The default period, in seconds.
const DEFAULT_PERIOD_SECS: i64 = 300;

/// The number of newest points that a late metric may lack.
const LATE_POINTS: i64 = 2;

/// A metric in a query.
#[derive(Debug, Clone)]
pub(crate) struct Metric {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) dimensions: Vec<(String, String)>,
    /// The pointer to its place in the resource's properties.
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

    /// Returns true if the metric belongs to this queue, in any notation of the template.
    pub(crate) fn is_of(&self, queue: &Queue<'_>) -> bool {
        self.dimension("QueueName").is_some_and(|name| queue.is_meant_by(name))
    }
}

/// Returns the metrics in a list of queries, as in alarms and scaling policies.
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

/// Returns the alarms of a stack.
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

/// Returns the composite alarms of a stack, which fire by the states of other alarms.
pub(crate) fn composite_alarms(stack: &Stack) -> impl Iterator<Item = (&str, &Resource)> {
    stack.of_kind("AWS::CloudWatch::CompositeAlarm")
}

/// Returns true if one of the alarms could be any, so that no alarm can be reported as missing.
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

    /// Returns the period in seconds, of the only metric or the first.
    pub(crate) fn period(&self) -> Option<i64> {
        let of_query = || {
            self.resource
                .get("/Metrics/0/MetricStat/Period")
                .or_else(|| self.resource.get("/Metrics/0/Period"))
        };
        self.resource.get("/Period").or_else(of_query).map_or(Some(DEFAULT_PERIOD_SECS), int)
    }

    /// Returns the statistic, of the only metric or the first.
    pub(crate) fn statistic(&self) -> Option<&str> {
        self.resource.text("/Statistic").or_else(|| self.resource.text("/Metrics/0/MetricStat/Stat"))
    }

    /// Returns the number of data points that must breach.
    pub(crate) fn needed_points(&self) -> Option<i64> {
        let needed =
            self.resource.get("/DatapointsToAlarm").or_else(|| self.resource.get("/EvaluationPeriods"));
        needed.map_or(Some(1), int)
    }

    /// Returns true if late points cannot decide: they are too few to make the alarm fire, and the others are enough.
    pub(crate) fn allows_late_points(&self) -> bool {
        let evaluated = self.resource.get("/EvaluationPeriods").and_then(int);
        self.needed_points()
            .zip(evaluated)
            .is_none_or(|(needed, evaluated)| needed > LATE_POINTS && evaluated >= needed + LATE_POINTS)
    }

    /// Returns the time for which the condition must hold, in seconds.
    pub(crate) fn holds_for(&self) -> Option<i64> {
        self.period()?.checked_mul(self.needed_points()?)
    }

    pub(crate) fn threshold(&self) -> Option<f64> {
        self.resource.get("/Threshold").and_then(number)
    }

    /// Returns true if its metric or its action could not be evaluated, so that it could be any alarm.
    pub(crate) fn is_unclear(&self) -> bool {
        let parts = ["/Namespace", "/MetricName", "/Dimensions", "/Metrics", "/AlarmActions"];
        parts.iter().filter_map(|at| self.resource.get(at)).any(is_unclear)
    }

    /// Returns true if it fires at the first message.
    pub(crate) fn rings_at_one(&self) -> Option<bool> {
        let threshold = self.threshold()?;
        match self.resource.text("/ComparisonOperator")? {
            "GreaterThanThreshold" => Some((0.0..1.0).contains(&threshold)),
            "GreaterThanOrEqualToThreshold" => Some(threshold > 0.0 && threshold <= 1.0),
            operator => (!has_token(operator)).then_some(false),
        }
    }

    /// Returns true if it starts or stops tasks instead of notifying a topic.
    pub(crate) fn scales(&self, stack: &Stack) -> bool {
        self.resource.references_at("/AlarmActions").any(|to| match to {
            Target::Resource { id, .. } => stack
                .resources
                .get(id)
                .is_some_and(|to| to.kind == "AWS::ApplicationAutoScaling::ScalingPolicy"),
            _ => false,
        })
    }

    /// Returns true if it is a part of a composite alarm, which notifies in its place.
    pub(crate) fn is_part(&self, stack: &Stack) -> bool {
        composite_alarms(stack).any(|(_, composite)| composite.refers_to("/AlarmRule", self.id))
    }

    /// Returns true if it fires above its threshold.
    pub(crate) fn rings_above(&self) -> bool {
        self.resource
            .text("/ComparisonOperator")
            .is_some_and(|operator| operator.starts_with("GreaterThan") || has_token(operator))
    }
}
