//! The exports of a process: started by the standard variables, flushed at the end.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use drumline::run::Observer;
use drumline_runtime::{Queue, TraceParent, set_send_tracer, variable};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::batch::SpanBatches;
use crate::collector::Collector;
use crate::flush::Flushes;
use crate::metrics::{MetricExport, ReadMetrics};
use crate::metrics_request::MetricsRequest;
use crate::process::ProcessSpans;
use crate::queue::{QueueUrls, Requests, TracedQueue, Unsettled};
use crate::repeated::Repeated;
use crate::resource::resource;
use crate::seldom::Seldom;
use crate::send::SendSpans;
use crate::spans::Spans;
use crate::variables::{Signal, Variables};

/// The exports of this process by OpenTelemetry. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    traces: Option<Traces>,
    metrics: Option<Arc<Metrics>>,
    /// Flushes that did not end in time.
    late_flushes: Arc<Mutex<Seldom>>,
}

#[derive(Clone)]
struct Traces {
    spans: Arc<Spans>,
    unsettled: Arc<Unsettled>,
    urls: Arc<QueueUrls>,
    parent: TraceParent,
    flushes: Arc<Flushes>,
}

struct Metrics {
    export: Arc<MetricExport>,
    running: OnceLock<Running>,
    flushes: Flushes,
}

/// The metrics that are exported.
struct Running {
    read: ReadMetrics,
    /// `None` if only flushes export them.
    _repeated: Option<Repeated>,
}

impl Telemetry {
    /// Starts what the variables `OTEL_*` of this process ask for, on the current runtime. Returns `None` if they ask for nothing.
    ///
    /// A variable with a value that cannot be used is logged: a mistake in what is observed ends no worker.
    pub fn start(parent: TraceParent) -> Option<Self> {
        let variables = Variables(variable);
        variables.check_disabled();
        let resource = MetricsRequest::attributes(&resource(&variables));
        let traces = spans(&variables, &resource).map(|spans| Traces {
            spans: Arc::new(spans),
            unsettled: Arc::default(),
            urls: Arc::default(),
            parent,
            flushes: Arc::default(),
        });
        let metrics = metrics(&variables, &resource);
        let metrics = metrics.map(|export| {
            Arc::new(Metrics {
                export: Arc::new(export),
                running: OnceLock::new(),
                flushes: Flushes::default(),
            })
        });
        let is_on = traces.is_some() || metrics.is_some();
        is_on.then(|| Self { traces, metrics, late_flushes: Arc::default() })
    }

    /// Returns the observer that records a span for each attempt, if traces are exported.
    pub fn observer(&self) -> Option<Arc<dyn Observer>> {
        let Traces { spans, unsettled, urls, parent, .. } = self.traces.clone()?;
        Some(Arc::new(ProcessSpans { spans, parent, unsettled, urls }))
    }

    /// Returns a queue whose receives are recorded, and the settling of messages with a recorded attempt.
    pub fn trace_queue(&self, queue: Arc<dyn Queue>, name: &str, url: &str) -> Arc<dyn Queue> {
        let Some(Traces { spans, unsettled, urls, .. }) = self.traces.clone() else { return queue };
        // A label that distinguishes queues of the same name has a prefix with a slash, which is no part of the queue's name.
        let name = name.rsplit('/').next().unwrap_or_default();
        urls.add(name, url);
        let requests = Requests { spans, unsettled, queue: name.to_owned(), url: url.to_owned() };
        Arc::new(TracedQueue { inner: queue, requests: Arc::new(requests) })
    }

    /// Records a span for each message that this process sends from now on. Only the first telemetry of a process does.
    pub fn trace_sends(&self) {
        if let Some(traces) = &self.traces {
            set_send_tracer(Arc::new(SendSpans(Arc::clone(&traces.spans))));
        }
    }

    /// Returns true if metrics are exported.
    pub fn has_metrics(&self) -> bool {
        self.metrics.is_some()
    }

    /// Exports what this function reads, every `OTEL_METRIC_EXPORT_INTERVAL`, and at each flush. Only the first function counts.
    pub fn export_metrics(&self, read: ReadMetrics) {
        if let Some(metrics) = &self.metrics {
            metrics.running.get_or_init(|| {
                let repeat = Arc::clone(&metrics.export).repeat(Arc::clone(&read));
                Running { read, _repeated: Some(Repeated::new(repeat)) }
            });
        }
    }

    /// Exports what this function reads at each flush only, for a process that is frozen in between. Only the first function counts.
    pub fn export_metrics_at_flush(&self, read: ReadMetrics) {
        if let Some(metrics) = &self.metrics {
            metrics.running.get_or_init(|| Running { read, _repeated: None });
        }
    }

    /// Exports the spans that have ended, and the metrics as they are, within this time. Returns false if that failed, which is logged.
    pub async fn flush(&self, within: Duration) -> bool {
        let flush = async { tokio::join!(self.flush_metrics(), self.flush_spans()) };
        if let Ok((metrics, spans)) = timeout(within, flush).await {
            return metrics && spans;
        }
        let mut late = self.late_flushes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flushes) = late.count(Instant::now()) {
            let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
            warn!(within_ms, flushes, "OpenTelemetry not flushed in time");
        }
        false
    }

    async fn flush_metrics(&self) -> bool {
        let Some(metrics) = &self.metrics else { return true };
        let Some(Running { read, .. }) = metrics.running.get() else { return true };
        let (export, read) = (Arc::clone(&metrics.export), Arc::clone(read));
        metrics.flushes.run(async move { export.export(&read).await }).await
    }

    async fn flush_spans(&self) -> bool {
        let Some(traces) = &self.traces else { return true };
        let batches = Arc::clone(&traces.spans.batches);
        traces.flushes.run(async move { batches.export().await }).await
    }
}

fn spans<F: Fn(&str) -> Option<String>>(variables: &Variables<F>, resource: &[KeyValue]) -> Option<Spans> {
    let collector = collector(variables, Signal::Traces)?;
    let (endpoint, sampler) = (collector.shown(), variables.sampler());
    info!(endpoint, ?sampler, "exporting spans");
    let batches = Arc::new(SpanBatches::new(collector, resource.to_vec(), variables.batches()));
    let exports = Repeated::new(Arc::clone(&batches).repeat());
    Some(Spans { sampler, batches, _exports: exports })
}

fn metrics<F: Fn(&str) -> Option<String>>(
    variables: &Variables<F>,
    resource: &[KeyValue],
) -> Option<MetricExport> {
    let collector = collector(variables, Signal::Metrics)?;
    let request = MetricsRequest { resource: resource.to_vec(), temporality: variables.temporality() };
    let (endpoint, temporality) = (collector.shown(), request.temporality);
    info!(endpoint, ?temporality, "exporting metrics");
    let every = variables.metric_interval();
    Some(MetricExport { collector, request, every, last: tokio::sync::Mutex::default() })
}

/// Returns the way of a signal to the collector, if it is exported.
fn collector<F: Fn(&str) -> Option<String>>(variables: &Variables<F>, signal: Signal) -> Option<Collector> {
    if !variables.is_on(signal) {
        return None;
    }
    variables.check_protocol(signal);
    match Collector::new(variables, signal) {
        Ok(collector) => Some(collector),
        Err(error) => {
            error!(?signal, error, "OpenTelemetry exports nothing of this signal");
            None
        }
    }
}
