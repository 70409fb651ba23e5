//! OpenTelemetry, if the feature `otel` is enabled and the variables `OTEL_*` request it.

use std::sync::Arc;
use std::time::Duration;

use drumline::run::Observer;
#[cfg(feature = "otel")]
use drumline_otel::{HostTelemetry, MetricSeries, MetricValue};
use drumline_runtime::{Queue, TraceParent};
use url::Url;

use crate::depth::Depths;
use crate::metrics::Metrics;
#[cfg(feature = "otel")]
use crate::metrics::distribution::Distribution;
#[cfg(feature = "otel")]
use crate::metrics::series::{Key, SeriesValue, read};

/// The exports of a consumer.
#[derive(Clone, Default)]
pub(crate) struct Telemetry {
    #[cfg(feature = "otel")]
    exports: HostTelemetry,
}

#[cfg(feature = "otel")]
impl Telemetry {
    /// Starts the exports that the environment requests.
    pub(crate) fn start(parent: TraceParent) -> Self {
        Self { exports: HostTelemetry::start(parent) }
    }

    /// Returns the observer of attempts.
    pub(crate) fn observer(&self) -> Option<Arc<dyn Observer>> {
        self.exports.observer()
    }

    /// Exports these metrics from now on, with depths as recent as those at `/metrics`.
    pub(crate) fn export_metrics(&self, metrics: &Metrics, depths: &Depths) {
        let (metrics, depths) = (metrics.clone(), depths.clone());
        self.exports.export_metrics(Arc::new(move || {
            let (metrics, depths) = (metrics.clone(), depths.clone());
            Box::pin(async move {
                depths.refresh().await;
                let all = read(&metrics.encode()).into_iter();
                all.map(|(Key { name, labels }, value)| MetricSeries { name, labels, value: of(value) })
                    .collect()
            })
        }));
    }

    /// Returns a queue whose requests are recorded.
    pub(crate) fn trace_queue(&self, queue: Arc<dyn Queue>, name: &str, url: &Url) -> Arc<dyn Queue> {
        self.exports.trace_queue(queue, name, url.as_str())
    }

    /// Exports the recorded data.
    pub(crate) async fn flush(&self, within: Duration) {
        self.exports.flush(within).await;
    }
}

#[cfg(feature = "otel")]
fn of(value: SeriesValue) -> MetricValue {
    match value {
        SeriesValue::Counter(value) => MetricValue::Counter(value),
        SeriesValue::Gauge(value) => MetricValue::Gauge(value),
        SeriesValue::Histogram(Distribution { sum, buckets }) => MetricValue::Histogram { sum, buckets },
    }
}

#[cfg(not(feature = "otel"))]
#[allow(clippy::unused_async, clippy::unused_self, reason = "as with the feature")]
impl Telemetry {
    pub(crate) fn start(_: TraceParent) -> Self {
        Self::default()
    }

    pub(crate) fn observer(&self) -> Option<Arc<dyn Observer>> {
        None
    }

    pub(crate) fn export_metrics(&self, _: &Metrics, _: &Depths) {}

    pub(crate) fn trace_queue(&self, queue: Arc<dyn Queue>, _: &str, _: &Url) -> Arc<dyn Queue> {
        queue
    }

    pub(crate) async fn flush(&self, _: Duration) {}
}
