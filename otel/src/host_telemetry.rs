//! The exports of a host, which may be none.

use std::sync::Arc;
use std::time::Duration;

use drumline::run::Observer;
use drumline_runtime::{Queue, TraceParent};

use crate::metrics::ReadMetrics;
use crate::telemetry::Telemetry;

/// The exports of a host: those that the variables `OTEL_*` ask for, or none. Cheap to clone.
#[derive(Clone, Default)]
pub struct HostTelemetry(Option<Telemetry>);

impl HostTelemetry {
    /// Starts what the variables of this process ask for, on the current runtime, with the spans of sent messages.
    pub fn start(parent: TraceParent) -> Self {
        let telemetry = Telemetry::start(parent);
        if let Some(telemetry) = &telemetry {
            telemetry.trace_sends();
        }
        Self(telemetry)
    }

    /// Returns the observer of [`Telemetry::observer`].
    pub fn observer(&self) -> Option<Arc<dyn Observer>> {
        self.0.as_ref()?.observer()
    }

    /// Returns the queue of [`Telemetry::trace_queue`], or the queue itself.
    pub fn trace_queue(&self, queue: Arc<dyn Queue>, name: &str, url: &str) -> Arc<dyn Queue> {
        match &self.0 {
            Some(telemetry) => telemetry.trace_queue(queue, name, url),
            None => queue,
        }
    }

    /// Exports metrics as [`Telemetry::export_metrics`] does.
    pub fn export_metrics(&self, read: ReadMetrics) {
        if let Some(telemetry) = &self.0 {
            telemetry.export_metrics(read);
        }
    }

    /// Exports metrics as [`Telemetry::export_metrics_at_flush`] does.
    pub fn export_metrics_at_flush(&self, read: ReadMetrics) {
        if let Some(telemetry) = &self.0 {
            telemetry.export_metrics_at_flush(read);
        }
    }

    /// Returns true if metrics are exported.
    pub fn has_metrics(&self) -> bool {
        self.0.as_ref().is_some_and(Telemetry::has_metrics)
    }

    /// Exports the recorded data as [`Telemetry::flush`] does.
    pub async fn flush(&self, within: Duration) -> bool {
        match &self.0 {
            Some(telemetry) => telemetry.flush(within).await,
            None => true,
        }
    }
}
