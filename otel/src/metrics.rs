//! The export of metrics: those of a registry, under its names.
//!
//! The SDK's instruments would count everything a second time. The registry is read instead, and written in the protocol's own types.

use std::sync::Arc;
use std::time::Duration;

use drumline_runtime::BoxFuture;
use prost::Message as _;
use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::collector::Collector;
use crate::metrics_request::{MetricsRequest, Period};
use crate::series::MetricSeries;
use crate::spans::now;
use crate::temporality::{Exported, Temporality};

/// Reads all metrics as they are.
pub type ReadMetrics = Arc<dyn Fn() -> BoxFuture<Vec<MetricSeries>> + Send + Sync>;

/// The way of metrics to the collector.
#[derive(Debug)]
pub(crate) struct MetricExport {
    pub(crate) collector: Collector,
    pub(crate) request: MetricsRequest,
    pub(crate) every: Duration,
    /// Locked during an export: the changes of the next one are those since this one.
    pub(crate) last: Mutex<LastExport>,
}

/// The last export that has succeeded.
#[derive(Debug)]
pub(crate) struct LastExport {
    /// Before the first, the start of the process.
    at: Duration,
    /// Empty if no changes are exported.
    values: Exported,
}

impl Default for LastExport {
    fn default() -> Self {
        Self { at: now(), values: Exported::default() }
    }
}

impl MetricExport {
    /// Exports every so often, for as long as it is polled.
    pub(crate) async fn repeat(self: Arc<Self>, read: ReadMetrics) {
        let mut next = interval_at(Instant::now() + self.every, self.every);
        next.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            next.tick().await;
            self.export(&read).await;
        }
    }

    /// Exports once. Returns false if that failed, which is logged; the next export contains what this one lacked.
    pub(crate) async fn export(&self, read: &ReadMetrics) -> bool {
        let mut last = self.last.lock().await;
        let (all, end) = (read().await, now());
        let (series, values) = match self.request.temporality {
            Temporality::Cumulative => (all, Exported::default()),
            Temporality::Delta => (last.values.changes(&all), Exported::new(all)),
        };
        let count = series.len();
        if count == 0 {
            return true;
        }
        let request = self.request.with(series, Period { start: last.at, end });
        let exported = self.collector.export(request.encode_to_vec(), count).await.is_ok();
        if exported && self.request.temporality == Temporality::Delta {
            *last = LastExport { at: end, values };
        }
        exported
    }
}
