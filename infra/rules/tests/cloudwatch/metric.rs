//! The metrics that the model knows.

use serde_json::Value;

/// A metric of the queue or of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    Visible,
    InFlight,
    Received,
    Deleted,
    Empty,
    Running,
    Desired,
}

impl Metric {
    pub(crate) const COUNT: usize = Self::Desired as usize + 1;

    /// Reads the metric of a query. `None` is a metric of another namespace, such as the worker's own: the model has no points
    /// of it. Panics if a query reads a metric in another way than the model does.
    pub(crate) fn of_query(stat: &Value, period_may_be_absent: bool) -> Option<Self> {
        let (metric, name) = (&stat["Metric"], stat["Metric"]["MetricName"].as_str());
        let (known, stats, dimensions) = match (metric["Namespace"].as_str(), name) {
            (Some("AWS/SQS"), Some(name)) => {
                let known = match name {
                    "ApproximateNumberOfMessagesVisible" => Self::Visible,
                    "ApproximateNumberOfMessagesNotVisible" => Self::InFlight,
                    "NumberOfMessagesReceived" => Self::Received,
                    "NumberOfMessagesDeleted" => Self::Deleted,
                    "NumberOfEmptyReceives" => Self::Empty,
                    other => panic!("SQS's metric {other} is not in the model"),
                };
                let is_gauge = matches!(known, Self::Visible | Self::InFlight);
                let stats: &[&str] = if is_gauge { &["Maximum"] } else { &["Sum"] };
                (known, stats, &["QueueName"][..])
            }
            (Some("ECS/ContainerInsights"), Some(name)) => {
                let known = match name {
                    "RunningTaskCount" => Self::Running,
                    "DesiredTaskCount" => Self::Desired,
                    other => panic!("the metric {other} of ECS is not in the model"),
                };
                (known, &["Average", "Maximum"][..], &["ClusterName", "ServiceName"][..])
            }
            (Some("AWS/ECS"), _) => panic!("the namespace AWS/ECS is not in the model"),
            (Some(_), Some(_)) => return None,
            other => panic!("a metric without namespace or name: {other:?}"),
        };
        let actual = stat["Stat"].as_str().unwrap_or_default();
        assert!(stats.contains(&actual), "{known:?} with Stat {actual}");
        let period = stat.get("Period").or_else(|| (!period_may_be_absent).then_some(&Value::Null));
        let is_a_minute = |period: &Value| period == 60 || period == "60";
        assert!(period.is_none_or(is_a_minute), "{known:?} with Period {period:?}");
        let names = metric["Dimensions"].as_array().expect("dimensions").iter().map(|it| it["Name"].as_str());
        assert!(names.eq(dimensions.iter().copied().map(Some)), "{known:?} with other dimensions");
        Some(known)
    }

    /// Returns true for the metrics that SQS reports, which do not end with the worker.
    pub(crate) fn is_of_the_queue(self) -> bool {
        !matches!(self, Self::Running | Self::Desired)
    }
}
