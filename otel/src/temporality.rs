//! The time that exported counts are of: since the start of the process, or since the last export.

use std::collections::HashMap;

use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;

use crate::series::{MetricSeries, MetricValue};

/// The time that counters and histograms count from. Gauges have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temporality {
    /// The start of the process.
    Cumulative,
    /// The last export.
    Delta,
}

impl Temporality {
    /// Returns the temporality of this preference. All counters and histograms here are synchronous instruments, which `lowmemory` exports
    /// as `delta` does. See
    /// [the specification](https://opentelemetry.io/docs/specs/otel/metrics/sdk_exporters/otlp/#additional-environment-variable-configuration).
    pub(crate) fn named(name: &str) -> Option<Self> {
        match &*name.to_ascii_lowercase() {
            "cumulative" => Some(Self::Cumulative),
            "delta" | "lowmemory" => Some(Self::Delta),
            _ => None,
        }
    }

    /// Returns the protocol's number.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Cumulative => AggregationTemporality::Cumulative as i32,
            Self::Delta => AggregationTemporality::Delta as i32,
        }
    }
}

/// The values at an export.
#[derive(Debug, Default)]
pub(crate) struct Exported(HashMap<(String, Vec<(String, String)>), MetricValue>);

impl Exported {
    pub(crate) fn new(series: Vec<MetricSeries>) -> Self {
        let of = |MetricSeries { name, labels, value }| ((name, labels), value);
        Self(series.into_iter().map(of).collect())
    }

    /// Returns the changes of counters and histograms since then, and gauges as they are. What has not changed is left out.
    pub(crate) fn changes(&self, series: &[MetricSeries]) -> Vec<MetricSeries> {
        let change = |now: &MetricSeries| {
            let before = self.0.get(&(now.name.clone(), now.labels.clone()));
            let value = before.map_or_else(|| now.value.clone(), |before| since(&now.value, before));
            counts_something(&value).then(|| MetricSeries { value, ..now.clone() })
        };
        series.iter().filter_map(change).collect()
    }
}

fn counts_something(value: &MetricValue) -> bool {
    match value {
        MetricValue::Counter(value) => *value > 0.0,
        MetricValue::Gauge(_) => true,
        MetricValue::Histogram { buckets, .. } => buckets.iter().any(|(_, count)| *count > 0),
    }
}

/// Returns the change of a value. One that is smaller than before has started again from 0, as the series of a tenant can.
fn since(now: &MetricValue, before: &MetricValue) -> MetricValue {
    match (now, before) {
        (MetricValue::Counter(now), MetricValue::Counter(before)) => {
            MetricValue::Counter(if now < before { *now } else { now - before })
        }
        (
            MetricValue::Histogram { sum, buckets },
            MetricValue::Histogram { sum: sum_before, buckets: buckets_before },
        ) => {
            let pairs = || buckets.iter().zip(buckets_before);
            if pairs().any(|((_, now), (_, before))| now < before) {
                return now.clone();
            }
            let buckets = pairs().map(|((bound, now), (_, before))| (*bound, now - before)).collect();
            MetricValue::Histogram { sum: sum - sum_before, buckets }
        }
        _ => now.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, value: MetricValue) -> MetricSeries {
        MetricSeries { name: name.to_owned(), labels: vec![("queue".to_owned(), "a".to_owned())], value }
    }

    fn histogram(sum: f64, counts: [u64; 2]) -> MetricValue {
        MetricValue::Histogram { sum, buckets: vec![(1.0, counts[0]), (f64::INFINITY, counts[1])] }
    }

    #[test]
    fn changes_are_those_since_the_last_export_and_gauges_stay() {
        let before = Exported::new(vec![
            series("grown", MetricValue::Counter(3.0)),
            series("same", MetricValue::Counter(3.0)),
            series("restarted", MetricValue::Counter(3.0)),
            series("depth", MetricValue::Gauge(7.0)),
            series("seconds", histogram(2.0, [2, 1])),
            series("same_seconds", histogram(2.0, [2, 1])),
            series("restarted_seconds", histogram(2.0, [2, 1])),
        ]);
        let now = [
            series("grown", MetricValue::Counter(5.0)),
            series("same", MetricValue::Counter(3.0)),
            series("restarted", MetricValue::Counter(1.0)),
            series("new", MetricValue::Counter(4.0)),
            series("new_at_zero", MetricValue::Counter(0.0)),
            series("depth", MetricValue::Gauge(7.0)),
            series("seconds", histogram(9.0, [2, 2])),
            series("same_seconds", histogram(2.0, [2, 1])),
            series("restarted_seconds", histogram(0.5, [1, 0])),
        ];
        let expected = [
            series("grown", MetricValue::Counter(2.0)),
            series("restarted", MetricValue::Counter(1.0)),
            series("new", MetricValue::Counter(4.0)),
            series("depth", MetricValue::Gauge(7.0)),
            series("seconds", histogram(7.0, [0, 1])),
            series("restarted_seconds", histogram(0.5, [1, 0])),
        ];
        assert_eq!(before.changes(&now), expected);
    }

    #[test]
    fn preferences_are_those_of_the_specification() {
        for (name, expected) in [
            ("Cumulative", Some(Temporality::Cumulative)),
            ("delta", Some(Temporality::Delta)),
            ("LowMemory", Some(Temporality::Delta)),
            ("other", None),
        ] {
            assert_eq!(Temporality::named(name), expected, "{name}");
        }
    }
}
