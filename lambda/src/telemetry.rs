//! Traces and metrics by OpenTelemetry, if the feature `otel` is enabled and the variables `OTEL_*` request them.

use std::sync::Arc;
#[cfg(feature = "otel")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use drumline::run::Observer;
#[cfg(feature = "otel")]
use drumline_otel::HostTelemetry;
use drumline_runtime::{Queue, TraceParent};
use url::Url;

use crate::emf::Emf;
#[cfg(feature = "otel")]
use crate::totals::Totals;

/// The longest time that a response waits for the collector, which is an extension of the function or near it.
#[cfg(feature = "otel")]
const FLUSH_TIME: Duration = Duration::from_secs(2);

/// The maximum time after a failed flush: an unavailable collector must not slow down each invocation.
#[cfg(feature = "otel")]
const FLUSH_TIME_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// The exports of a function.
#[derive(Clone, Default)]
pub(crate) struct Telemetry {
    #[cfg(feature = "otel")]
    exports: HostTelemetry,
    #[cfg(feature = "otel")]
    has_failed: Arc<AtomicBool>,
    #[cfg(feature = "otel")]
    totals: Arc<Totals>,
}

#[cfg(feature = "otel")]
impl Telemetry {
    /// Starts the exports that the environment requests.
    pub(crate) fn start(parent: TraceParent) -> Self {
        let (exports, totals) = (HostTelemetry::start(parent), Arc::<Totals>::default());
        let read = Arc::clone(&totals);
        exports.export_metrics_at_flush(Arc::new(move || {
            let read = Arc::clone(&read);
            Box::pin(async move { read.series() })
        }));
        Self { exports, has_failed: Arc::default(), totals }
    }

    /// Returns the observer of attempts.
    pub(crate) fn observer(&self) -> Option<Arc<dyn Observer>> {
        self.exports.observer()
    }

    /// Returns a queue whose requests are recorded.
    pub(crate) fn trace_queue(&self, queue: Arc<dyn Queue>, name: &str, url: &Url) -> Arc<dyn Queue> {
        self.exports.trace_queue(queue, name, url.as_str())
    }

    /// Returns true if metrics are exported.
    pub(crate) fn has_metrics(&self) -> bool {
        self.exports.has_metrics()
    }

    /// Adds the counts of an invocation to the exported metrics.
    pub(crate) fn count(&self, emf: &Emf) {
        if self.has_metrics() {
            self.totals.add(emf);
        }
    }

    /// Exports what is recorded, before a response: Lambda freezes the process with it.
    pub(crate) async fn flush(&self, within: Duration) {
        let failed = self.has_failed.load(Ordering::Relaxed);
        let most = if failed { FLUSH_TIME_AFTER_FAILURE } else { FLUSH_TIME };
        self.has_failed.store(!self.exports.flush(within.min(most)).await, Ordering::Relaxed);
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

    pub(crate) fn trace_queue(&self, queue: Arc<dyn Queue>, _: &str, _: &Url) -> Arc<dyn Queue> {
        queue
    }

    pub(crate) fn has_metrics(&self) -> bool {
        false
    }

    pub(crate) fn count(&self, _: &Emf) {}

    pub(crate) async fn flush(&self, _: Duration) {}
}
