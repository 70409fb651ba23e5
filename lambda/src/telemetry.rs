//! Traces by OpenTelemetry, if the feature `otel` is enabled and the variables `OTEL_*` request them.

use std::sync::Arc;
#[cfg(feature = "otel")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use drumline::run::Observer;
use drumline_runtime::{Queue, TraceParent};
use url::Url;

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
    exports: Option<drumline_otel::Telemetry>,
    #[cfg(feature = "otel")]
    has_failed: Arc<AtomicBool>,
}

#[cfg(feature = "otel")]
impl Telemetry {
    /// Starts the exports that the environment requests.
    pub(crate) fn start(parent: TraceParent) -> Self {
        let exports = drumline_otel::Telemetry::start(parent);
        if let Some(exports) = &exports {
            exports.trace_sends();
        }
        Self { exports, has_failed: Arc::default() }
    }

    /// Returns the observer of attempts.
    pub(crate) fn observer(&self) -> Option<Arc<dyn Observer>> {
        self.exports.as_ref()?.observer()
    }

    /// Returns a queue whose requests are recorded.
    pub(crate) fn trace_queue(&self, queue: Arc<dyn Queue>, name: &str, url: &Url) -> Arc<dyn Queue> {
        match &self.exports {
            Some(exports) => exports.trace_queue(queue, name, url.as_str()),
            None => queue,
        }
    }

    /// Exports what is recorded, before a response: Lambda freezes the process with it.
    pub(crate) async fn flush(&self, within: Duration) {
        if let Some(exports) = &self.exports {
            let failed = self.has_failed.load(Ordering::Relaxed);
            let most = if failed { FLUSH_TIME_AFTER_FAILURE } else { FLUSH_TIME };
            self.has_failed.store(!exports.flush(within.min(most)).await, Ordering::Relaxed);
        }
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

    pub(crate) async fn flush(&self, _: Duration) {}
}
