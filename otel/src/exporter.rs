//! The SDK's exporter of spans, whose failures are logged.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tracing::warn;

/// A collector that is down fails every few seconds.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Exports spans, and logs how many are lost.
#[derive(Debug)]
pub(crate) struct Exporter {
    inner: opentelemetry_otlp::SpanExporter,
    lost: Mutex<Lost>,
}

/// The spans that were lost and are not logged yet.
#[derive(Debug, Default)]
struct Lost {
    spans: usize,
    logged_at: Option<Instant>,
}

impl Exporter {
    pub(crate) fn new(inner: opentelemetry_otlp::SpanExporter) -> Self {
        Self { inner, lost: Mutex::default() }
    }

    fn lost(&self, spans: usize, error: &str) {
        let mut lost = self.lost.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        lost.spans += spans;
        if lost.logged_at.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            warn!(spans = lost.spans, error, "spans not exported");
            *lost = Lost { spans: 0, logged_at: Some(Instant::now()) };
        }
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.inner.export(batch).await;
        if let Err(error) = &result {
            self.lost(spans, &error.to_string());
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
