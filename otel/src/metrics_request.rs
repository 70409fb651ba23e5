//! The request that exports metrics, in the protocol's own types.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::resource::scope;
use crate::series::{MetricSeries, MetricValue};
use crate::spans::nanos;
use crate::temporality::Temporality;

/// Writes requests.
#[derive(Debug)]
pub(crate) struct MetricsRequest {
    /// The attributes of the process.
    pub(crate) resource: Vec<KeyValue>,
    pub(crate) temporality: Temporality,
}

/// The time that values are of, since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Period {
    /// The start of what they count.
    pub(crate) start: Duration,
    pub(crate) end: Duration,
}

impl MetricsRequest {
    /// Returns the attributes of a process as the protocol has them.
    pub(crate) fn attributes(resource: &opentelemetry_sdk::Resource) -> Vec<KeyValue> {
        let attributes = resource.iter().map(|(key, value)| KeyValue {
            key: key.to_string(),
            value: Some(AnyValue::from(value.clone())),
            ..KeyValue::default()
        });
        attributes.collect()
    }

    /// Returns the request with these series, of which those of one metric follow each other.
    pub(crate) fn with(&self, series: Vec<MetricSeries>, period: Period) -> ExportMetricsServiceRequest {
        let mut metrics: Vec<Metric> = Vec::new();
        let (start, time) = (nanos(period.start), nanos(period.end));
        for MetricSeries { name, labels, value } in series {
            if metrics.last().is_none_or(|metric| metric.name != name) {
                metrics.push(empty(name, &value, self.temporality));
            }
            if let Some(metric) = metrics.last_mut() {
                let labels = labels.into_iter().map(|(name, value)| text(name, value)).collect();
                add(metric, labels, value, start, time);
            }
        }
        let scope = ScopeMetrics { scope: Some(scope()), metrics, ..ScopeMetrics::default() };
        let resource = Some(Resource { attributes: self.resource.clone(), ..Resource::default() });
        let resource_metrics =
            vec![ResourceMetrics { resource, scope_metrics: vec![scope], ..ResourceMetrics::default() }];
        ExportMetricsServiceRequest { resource_metrics }
    }
}

fn empty(name: String, value: &MetricValue, temporality: Temporality) -> Metric {
    let aggregation_temporality = temporality.number();
    let data = match value {
        MetricValue::Counter(_) => {
            metric::Data::Sum(Sum { data_points: Vec::new(), aggregation_temporality, is_monotonic: true })
        }
        MetricValue::Gauge(_) => metric::Data::Gauge(Gauge::default()),
        MetricValue::Histogram { .. } => {
            metric::Data::Histogram(Histogram { data_points: Vec::new(), aggregation_temporality })
        }
    };
    let unit = if name.ends_with("_seconds") { "s" } else { "1" };
    Metric { name, unit: unit.to_owned(), data: Some(data), ..Metric::default() }
}

fn add(metric: &mut Metric, attributes: Vec<KeyValue>, value: MetricValue, start: u64, time: u64) {
    let number = |number, start_time_unix_nano, attributes| NumberDataPoint {
        attributes,
        start_time_unix_nano,
        time_unix_nano: time,
        value: Some(number_data_point::Value::AsDouble(number)),
        ..NumberDataPoint::default()
    };
    match (&mut metric.data, value) {
        (Some(metric::Data::Sum(sum)), MetricValue::Counter(value)) => {
            sum.data_points.push(number(value, start, attributes));
        }
        (Some(metric::Data::Gauge(gauge)), MetricValue::Gauge(value)) => {
            gauge.data_points.push(number(value, 0, attributes));
        }
        (Some(metric::Data::Histogram(histogram)), MetricValue::Histogram { sum, buckets }) => {
            histogram.data_points.push(HistogramDataPoint {
                attributes,
                start_time_unix_nano: start,
                time_unix_nano: time,
                count: buckets.iter().map(|(_, count)| count).sum(),
                sum: Some(sum),
                bucket_counts: buckets.iter().map(|(_, count)| *count).collect(),
                explicit_bounds: buckets.iter().map(|(bound, _)| *bound).filter(|b| b.is_finite()).collect(),
                ..HistogramDataPoint::default()
            });
        }
        // A registry has one kind of value under a name.
        _ => {}
    }
}

fn text(key: String, value: String) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(value)) });
    KeyValue { key, value, ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn series(name: &str, queue: &str, value: MetricValue) -> MetricSeries {
        let labels = vec![("queue".to_owned(), queue.to_owned())];
        MetricSeries { name: name.to_owned(), labels, value }
    }

    #[test]
    fn series_share_a_metrics_name_and_histograms_keep_buckets() {
        let buckets = vec![(0.5, 2), (1.0, 0), (f64::INFINITY, 1)];
        let all = vec![
            series("drumline_jobs_total", "a", MetricValue::Counter(3.0)),
            series("drumline_jobs_total", "b", MetricValue::Counter(4.0)),
            series("drumline_queue_depth", "a", MetricValue::Gauge(7.0)),
            series("drumline_job_duration_seconds", "a", MetricValue::Histogram { sum: 9.5, buckets }),
        ];
        let writer = MetricsRequest { resource: Vec::new(), temporality: Temporality::Cumulative };
        let period = Period { start: Duration::from_secs(1), end: Duration::from_secs(61) };
        let request = writer.with(all, period);
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let names: Vec<_> = metrics.iter().map(|metric| (&*metric.name, &*metric.unit)).collect();
        let expected = [
            ("drumline_jobs_total", "1"),
            ("drumline_queue_depth", "1"),
            ("drumline_job_duration_seconds", "s"),
        ];
        assert_eq!(names, expected);
        let Some(metric::Data::Sum(jobs)) = &metrics[0].data else { panic!("{:?}", metrics[0]) };
        assert!(jobs.is_monotonic && jobs.aggregation_temporality == 2);
        let points = jobs.data_points.iter();
        let points: Vec<_> = points.map(|point| (point.value.unwrap(), point.start_time_unix_nano)).collect();
        let value = |number| (number_data_point::Value::AsDouble(number), 1_000_000_000);
        assert_eq!(points, [value(3.0), value(4.0)]);
        let Some(metric::Data::Histogram(durations)) = &metrics[2].data else { panic!("{:?}", metrics[2]) };
        let point = &durations.data_points[0];
        assert_eq!((point.count, point.sum, &*point.explicit_bounds), (3, Some(9.5), &[0.5, 1.0][..]));
        assert_eq!((&*point.bucket_counts, point.time_unix_nano), (&[2, 0, 1][..], 61_000_000_000));
    }
}
