//! The alarms and scaling policies of a template, read through the template resolver.

use std::collections::BTreeMap;

use drumline_infra_rules::model::{Resource, Stack, Target};
use serde_json::{Value, json};

use crate::alarm::{Evaluation, MissingData};
use crate::expression::{Expression, Math, Series};
use crate::metric::Metric;

/// The data of an alarm or a policy: metrics, and expressions of earlier ones.
#[derive(Debug, PartialEq)]
pub(crate) struct Watch {
    queries: Vec<(String, Query)>,
    returned: String,
}

#[derive(Debug, PartialEq)]
enum Query {
    /// `None` is a metric for which the model has no points.
    Metric(Option<Metric>),
    Expression(Expression),
}

#[derive(Debug, PartialEq)]
pub(crate) struct Alarm {
    /// Its name, which is the same in templates and modules. So are those of policies.
    pub(crate) id: String,
    pub(crate) watch: Watch,
    pub(crate) evaluation: Evaluation,
    pub(crate) threshold: f64,
    or_equal: bool,
    /// The policies that it triggers.
    pub(crate) policies: Vec<String>,
    pub(crate) notifies: bool,
}

/// A target tracking policy.
#[derive(Debug, PartialEq)]
pub(crate) struct Tracking {
    pub(crate) watch: Watch,
    pub(crate) target: f64,
    pub(crate) out_cooldown: u32,
    pub(crate) in_cooldown: u32,
    pub(crate) scales_in: bool,
}

/// A step scaling policy.
#[derive(Debug, PartialEq)]
pub(crate) struct Steps {
    percent: bool,
    least: f64,
    pub(crate) cooldown: u32,
    /// Lower and upper bound above the threshold, and the adjustment.
    adjustments: Vec<(f64, f64, f64)>,
}

/// A worker service as the template deploys it.
#[derive(Debug, PartialEq)]
pub(crate) struct Service {
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) concurrency: f64,
    pub(crate) tracking: Vec<Tracking>,
    pub(crate) steps: BTreeMap<String, Steps>,
    pub(crate) alarms: Vec<Alarm>,
}

impl Watch {
    fn new(queries: &Value, period_may_be_absent: bool) -> Self {
        let queries = queries.as_array().expect("queries");
        let returned = queries.iter().find(|query| query["ReturnData"] != false).expect("one returns data");
        let read = |query: &Value| {
            let expression =
                query["Expression"].as_str().map(|text| Query::Expression(Expression::parse(text)));
            let metric = || Query::Metric(Metric::of_query(&query["MetricStat"], period_may_be_absent));
            (text(&query["Id"]), expression.unwrap_or_else(metric))
        };
        Self { queries: queries.iter().map(read).collect(), returned: text(&returned["Id"]) }
    }

    /// Evaluates over the range of points that `metric` returns.
    pub(crate) fn series(&self, metric: impl Fn(Option<Metric>) -> Series, math: Math) -> Series {
        let mut known = BTreeMap::new();
        for (id, query) in &self.queries {
            let series = match query {
                Query::Metric(known) => metric(*known),
                Query::Expression(expression) => expression.series(&known, math),
            };
            known.insert(id.clone(), series);
        }
        known.remove(&self.returned).unwrap()
    }

    /// Returns true if it reads only SQS's metrics, which do not end with the worker.
    pub(crate) fn is_of_the_queue(&self) -> bool {
        self.queries.iter().all(|(_, query)| match query {
            Query::Metric(metric) => metric.is_some_and(Metric::is_of_the_queue),
            Query::Expression(_) => true,
        })
    }
}

impl Alarm {
    fn new(stack: &Stack, resource: &Resource) -> Self {
        let id = text(&resource.properties["AlarmName"]);
        let periods = whole(resource, "/EvaluationPeriods").expect("periods");
        let all = &resource.properties;
        let one = || {
            let stat = json!({ "Metric": all, "Stat": all["Statistic"], "Period": all["Period"] });
            json!([{ "Id": "m", "MetricStat": stat }])
        };
        Self {
            watch: Watch::new(&resource.get("/Metrics").cloned().unwrap_or_else(one), false),
            evaluation: Evaluation {
                periods: periods as usize,
                to_alarm: whole(resource, "/DatapointsToAlarm").unwrap_or(periods) as usize,
                missing: match resource.text("/TreatMissingData") {
                    Some("notBreaching") => MissingData::NotBreaching,
                    Some("ignore") => MissingData::Ignore,
                    other => panic!("{id}: TreatMissingData {other:?}"),
                },
            },
            threshold: number(&resource.properties["Threshold"]),
            or_equal: resource.text("/ComparisonOperator") == Some("GreaterThanOrEqualToThreshold"),
            policies: targets(stack, resource),
            id,
            notifies: resource.references_at("/AlarmActions").any(|to| matches!(to, Target::Parameter(_))),
        }
    }

    pub(crate) fn breaches(&self, value: f64) -> bool {
        value > self.threshold || self.or_equal && value >= self.threshold
    }
}

impl Steps {
    fn new(configuration: &Value) -> Self {
        let bound = |step: &Value, at: &str, open: f64| step.get(at).map_or(open, number);
        let adjustments = configuration["StepAdjustments"].as_array().expect("steps").iter().map(|step| {
            let lower = bound(step, "MetricIntervalLowerBound", f64::NEG_INFINITY);
            (
                lower,
                bound(step, "MetricIntervalUpperBound", f64::INFINITY),
                number(&step["ScalingAdjustment"]),
            )
        });
        Self {
            percent: configuration["AdjustmentType"] == "PercentChangeInCapacity",
            least: configuration.get("MinAdjustmentMagnitude").map_or(1.0, number),
            cooldown: minutes(&configuration["Cooldown"]),
            adjustments: adjustments.collect(),
        }
    }

    /// Returns the capacity that the step asks for at this distance of the metric from the threshold.
    pub(crate) fn capacity(&self, desired: u32, beyond: f64) -> Option<u32> {
        let (_, _, adjustment) =
            self.adjustments.iter().find(|(lower, upper, _)| (*lower..*upper).contains(&beyond))?;
        let change = if self.percent { f64::from(desired) * adjustment / 100.0 } else { *adjustment };
        Some(desired + change.max(self.least).floor() as u32)
    }
}

impl Service {
    pub(crate) fn new(stack: &Stack) -> Self {
        let target = only(stack, "AWS::ApplicationAutoScaling::ScalableTarget");
        let policies = stack.of_kind("AWS::ApplicationAutoScaling::ScalingPolicy");
        let (mut tracking, mut steps) = (Vec::new(), BTreeMap::new());
        for (_, policy) in policies {
            if let Some(configuration) = policy.get("/StepScalingPolicyConfiguration") {
                steps.insert(text(&policy.properties["PolicyName"]), Steps::new(configuration));
            }
            if let Some(configuration) = policy.get("/TargetTrackingScalingPolicyConfiguration") {
                tracking.push(Tracking {
                    watch: Watch::new(&configuration["CustomizedMetricSpecification"]["Metrics"], true),
                    target: number(&configuration["TargetValue"]),
                    out_cooldown: minutes(&configuration["ScaleOutCooldown"]),
                    in_cooldown: minutes(&configuration["ScaleInCooldown"]),
                    scales_in: configuration
                        .get("DisableScaleIn")
                        .is_none_or(|it| it == false || it == "false"),
                });
            }
        }
        let mut alarms: Vec<_> =
            stack.of_kind("AWS::CloudWatch::Alarm").map(|(_, alarm)| Alarm::new(stack, alarm)).collect();
        alarms.sort_by(|a, b| a.id.cmp(&b.id));
        Self {
            min: whole(target, "/MinCapacity").unwrap(),
            max: whole(target, "/MaxCapacity").unwrap(),
            concurrency: number(stack.parameters["Concurrency"].value.as_ref().unwrap()),
            tracking,
            steps,
            alarms,
        }
    }
}

fn only<'a>(stack: &'a Stack, kind: &'a str) -> &'a Resource {
    stack.of_kind(kind).next().unwrap_or_else(|| panic!("no {kind}")).1
}

/// Returns the names of the policies that an alarm triggers.
fn targets(stack: &Stack, alarm: &Resource) -> Vec<String> {
    let names = alarm.references_at("/AlarmActions").filter_map(|to| match to {
        Target::Resource { id, .. } => Some(text(&stack.resources[id].properties["PolicyName"])),
        _ => None,
    });
    names.collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// Reads a number. CloudFormation also accepts numbers as texts.
fn number(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{value} is no number"))
}

fn whole(resource: &Resource, at: &str) -> Option<u32> {
    resource.get(at).map(|value| number(value) as u32)
}

fn minutes(seconds: &Value) -> u32 {
    (number(seconds) / 60.0).ceil() as u32
}
