//! The export of metrics: those of a registry, under its names, as they are since the start of the process.
//!
//! The SDK's instruments would count everything a second time. The registry is read instead, and written in the protocol's own types.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drumline_runtime::BoxFuture;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderName, HeaderValue, Request};
use opentelemetry_http::HttpClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::warn;

use crate::collector::Collector;
use crate::resource::resource;
use crate::spans::now;

/// The name and version of the exporter.
const AGENT: &str = concat!("Drumline-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));

/// A metric with one set of labels.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricSeries {
    /// Its name, such as `drumline_jobs_total`.
    pub name: String,
    /// Its labels with their values.
    pub labels: Vec<(String, String)>,
    /// Its value since the start of the process.
    pub value: MetricValue,
}

/// A value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricValue {
    /// A number that only grows.
    Counter(f64),
    /// A number at present.
    Gauge(f64),
    /// Observations.
    Histogram {
        /// Their sum.
        sum: f64,
        /// The upper bounds of the buckets in order, the last of which is infinite, with the number of observations in each.
        buckets: Vec<(f64, u64)>,
    },
}

/// Reads all metrics as they are.
pub type ReadMetrics = Arc<dyn Fn() -> BoxFuture<Vec<MetricSeries>> + Send + Sync>;

/// The way of metrics to the collector.
#[derive(Clone)]
pub(crate) struct MetricExport {
    pub(crate) collector: Collector,
    pub(crate) endpoint: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) gzip: bool,
    pub(crate) every: Duration,
    /// The start of what the metrics count, since the Unix epoch.
    pub(crate) since: Duration,
}

impl MetricExport {
    /// Exports every so often, for as long as it is polled.
    pub(crate) async fn repeat(self, read: ReadMetrics) {
        let mut next = interval_at(Instant::now() + self.every, self.every);
        next.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            next.tick().await;
            self.export(read().await).await;
        }
    }

    /// Exports once. A failure is logged; the next export has what this one lacked, since values are those since the start.
    pub(crate) async fn export(&self, series: Vec<MetricSeries>) {
        let count = series.len();
        if let Err(error) = self.post(series).await {
            warn!(series = count, error, "metrics not exported");
        }
    }

    async fn post(&self, series: Vec<MetricSeries>) -> Result<(), String> {
        let mut body = request(series, self.since, now()).encode_to_vec();
        if self.gzip {
            body = compressed(&body).map_err(|error| error.to_string())?;
        }
        let request = Request::post(&self.endpoint).body(Bytes::from(body));
        let mut request = request.map_err(|error| error.to_string())?;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if self.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let answer = self.collector.send_bytes(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(format!("the collector answers {status}")) }
    }
}

fn compressed(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body)?;
    encoder.finish()
}

fn request(series: Vec<MetricSeries>, since: Duration, at: Duration) -> ExportMetricsServiceRequest {
    let mut metrics: Vec<Metric> = Vec::new();
    let (start, time) = (nanos(since), nanos(at));
    for MetricSeries { name, labels, value } in series {
        // Series of one metric follow each other.
        if metrics.last().is_none_or(|metric| metric.name != name) {
            metrics.push(empty(name, &value));
        }
        if let Some(metric) = metrics.last_mut() {
            let labels = labels.into_iter().map(|(name, value)| text(name, value)).collect();
            add(metric, labels, value, start, time);
        }
    }
    let resource = resource();
    let attributes = resource.iter().map(|(key, value)| KeyValue {
        key: key.to_string(),
        value: Some(AnyValue::from(value.clone())),
        ..KeyValue::default()
    });
    let attributes = attributes.collect();
    let scope = InstrumentationScope {
        name: "drumline".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope = ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() };
    let resource = Some(Resource { attributes, ..Resource::default() });
    let resource_metrics =
        vec![ResourceMetrics { resource, scope_metrics: vec![scope], ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

fn empty(name: String, value: &MetricValue) -> Metric {
    let aggregation_temporality = AggregationTemporality::Cumulative as i32;
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

fn nanos(since_epoch: Duration) -> u64 {
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn series(name: &str, queue: &str, value: MetricValue) -> MetricSeries {
        let labels = vec![("queue".to_owned(), queue.to_owned())];
        MetricSeries { name: name.to_owned(), labels, value }
    }

    #[tokio::test]
    async fn series_share_a_metrics_name_and_histograms_keep_buckets() {
        let buckets = vec![(0.5, 2), (1.0, 0), (f64::INFINITY, 1)];
        let all = vec![
            series("drumline_jobs_total", "a", MetricValue::Counter(3.0)),
            series("drumline_jobs_total", "b", MetricValue::Counter(4.0)),
            series("drumline_queue_depth", "a", MetricValue::Gauge(7.0)),
            series("drumline_job_duration_seconds", "a", MetricValue::Histogram { sum: 9.5, buckets }),
        ];
        let request = request(all, Duration::from_secs(1), Duration::from_secs(61));
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
