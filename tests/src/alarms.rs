//! The metrics that alarms of a template watch, compared with those that a worker or a function writes.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::aws_api::{members, query};
use crate::emf::EmfMetric;

const CLOUDWATCH: &str = "2010-08-01";

/// A metric of Drumline's namespace that an alarm watches.
#[derive(Debug, Clone, PartialEq)]
pub struct AlarmMetric {
    /// Its name.
    pub name: String,
    /// Its dimensions.
    pub labels: BTreeMap<String, String>,
    /// Its statistic.
    pub stat: String,
}

/// Returns the metrics of Drumline's namespace that the alarms of a template watch, with the name of the queue for the parameter.
pub fn alarm_metrics(template: &Value, queue: &str) -> Vec<AlarmMetric> {
    let resources = template["Resources"].as_object().unwrap().values();
    let queries = resources.filter_map(|resource| resource["Properties"]["Metrics"].as_array()).flatten();
    let stats = queries.map(|query| &query["MetricStat"]);
    let own = stats.filter(|stat| stat["Metric"]["Namespace"] == "Drumline");
    own.map(|stat| {
        let label = |dimension: &Value| {
            let value = match dimension["Value"]["Ref"].as_str() {
                Some("QueueName") => queue,
                Some(other) => panic!("a dimension is {other}"),
                None => dimension["Value"].as_str().unwrap(),
            };
            (dimension["Name"].as_str().unwrap().to_owned(), value.to_owned())
        };
        AlarmMetric {
            name: stat["Metric"]["MetricName"].as_str().unwrap().to_owned(),
            labels: stat["Metric"]["Dimensions"].as_array().unwrap().iter().map(label).collect(),
            stat: stat["Stat"].as_str().unwrap().to_owned(),
        }
    })
    .collect()
}

impl AlarmMetric {
    /// Returns the statistic over these metrics. `None` if none of them has this name and exactly these dimensions: CloudWatch
    /// has no data then.
    pub fn of(&self, metrics: &[EmfMetric]) -> Option<f64> {
        let is_same = |metric: &&EmfMetric| metric.name == self.name && metric.labels == self.labels;
        let mut same = metrics.iter().filter(is_same).flat_map(|metric| &metric.values).peekable();
        same.peek()?;
        let bounds = self.stat.strip_prefix("TC(").and_then(|rest| rest.strip_suffix(":)"));
        let value = |(value, count): &(f64, f64)| match (&*self.stat, bounds) {
            ("Sum", _) => value * count,
            ("SampleCount", _) => *count,
            (_, Some(above)) if *value > above.parse().unwrap() => *count,
            (_, Some(_)) => 0.0,
            (other, None) => panic!("the statistic is {other}"),
        };
        Some(same.map(value).sum())
    }
}

/// Returns the metric alarms and the composite alarms on `LocalStack` whose names begin with a text.
pub async fn alarms_of_stack(begin: &str) -> [Vec<Value>; 2] {
    let parameters = [
        ("AlarmNamePrefix", begin),
        ("AlarmTypes.member.1", "MetricAlarm"),
        ("AlarmTypes.member.2", "CompositeAlarm"),
    ];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let answer = query("monitoring", CLOUDWATCH, "DescribeAlarms", &parameters).await.unwrap();
    [members(&answer["MetricAlarms"]), members(&answer["CompositeAlarms"])]
}
