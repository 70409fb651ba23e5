//! The exports of a process: started by the standard variables, flushed at the end.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use drumline::run::Observer;
use drumline_runtime::{Queue, TraceParent, redacted, set_send_tracer, variable};
use opentelemetry_otlp::{Compression, Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanProcessor};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::collector::Collector;
use crate::exporter::Exporter;
use crate::metrics::{MetricExport, ReadMetrics};
use crate::process::ProcessSpans;
use crate::queue::{QueueUrls, Requests, TracedQueue, Unsettled};
use crate::resource::resource;
use crate::send::SendSpans;
use crate::spans::{Spans, now};
use crate::variables::{Signal, Variables};

/// The exports of this process by OpenTelemetry. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    traces: Option<Traces>,
    metrics: Option<Arc<Metrics>>,
}

#[derive(Clone)]
struct Traces {
    spans: Arc<Spans>,
    unsettled: Arc<Unsettled>,
    urls: Arc<QueueUrls>,
    parent: TraceParent,
}

struct Metrics {
    export: MetricExport,
    running: OnceLock<Running>,
}

/// An export that repeats until this is dropped.
struct Running {
    read: ReadMetrics,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Telemetry {
    /// Starts what the variables `OTEL_*` of this process ask for, on the current runtime. Returns `None` if they ask for nothing.
    ///
    /// A variable with a value that cannot be used is logged: a mistake in what is observed ends no worker.
    pub fn start(parent: TraceParent) -> Option<Self> {
        let variables = Variables(variable);
        variables.check_disabled();
        let traces = spans(&variables).map(|spans| Traces {
            spans: Arc::new(spans),
            unsettled: Arc::default(),
            urls: Arc::default(),
            parent,
        });
        let metrics =
            metrics(&variables).map(|export| Arc::new(Metrics { export, running: OnceLock::new() }));
        (traces.is_some() || metrics.is_some()).then_some(Self { traces, metrics })
    }

    /// Returns the observer that records a span for each attempt, if traces are exported.
    pub fn observer(&self) -> Option<Arc<dyn Observer>> {
        let Traces { spans, unsettled, urls, parent } = self.traces.clone()?;
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

    /// Exports what this function reads, every `OTEL_METRIC_EXPORT_INTERVAL`, and at each flush. Only the first function counts.
    pub fn export_metrics(&self, read: ReadMetrics) {
        if let Some(metrics) = &self.metrics {
            metrics.running.get_or_init(|| {
                let task = tokio::spawn(metrics.export.clone().repeat(Arc::clone(&read)));
                Running { read, task: task.abort_handle() }
            });
        }
    }

    /// Exports the spans that have ended, and the metrics as they are, within this time. Returns false if that failed, which is logged.
    pub async fn flush(&self, within: Duration) -> bool {
        let flush = async {
            let metrics = async {
                if let Some(metrics) = &self.metrics
                    && let Some(running) = metrics.running.get()
                {
                    metrics.export.export((running.read)().await).await;
                }
            };
            tokio::join!(metrics, self.flush_spans()).1
        };
        let Ok(flushed) = timeout(within, flush).await else {
            let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
            warn!(within_ms, "OpenTelemetry not flushed in time");
            return false;
        };
        if let Err(error) = &flushed {
            warn!(error, "spans not flushed");
        }
        flushed.is_ok()
    }

    async fn flush_spans(&self) -> Result<(), String> {
        let Some(spans) = self.traces.as_ref().map(|traces| Arc::clone(&traces.spans)) else { return Ok(()) };
        if !spans.has_new() {
            return Ok(());
        }
        let (done, flushed) = oneshot::channel();
        // On a thread of its own: it blocks, and one of the runtime's would hold up the end of the program.
        let flush = move || drop(done.send(spans.flush()));
        let thread = std::thread::Builder::new().name("drumline-otel".to_owned()).spawn(flush);
        thread.map_err(|error| error.to_string())?;
        flushed.await.unwrap_or_else(|_| Err("the thread that flushes panicked".to_owned()))
    }
}

fn spans(variables: &Variables<impl Fn(&str) -> Option<String>>) -> Option<Spans> {
    if !variables.is_on(Signal::Traces) {
        return None;
    }
    let (endpoint, collector) = collector(variables, Signal::Traces)?;
    // The exporter reads the headers, from the standard variables.
    let builder = opentelemetry_otlp::SpanExporter::builder().with_http().with_http_client(collector);
    let builder = builder.with_protocol(Protocol::HttpBinary).with_endpoint(endpoint.as_str());
    let builder = builder.with_timeout(variables.timeout(Signal::Traces));
    let gzip = variables.gzip(Signal::Traces);
    let builder = if gzip { builder.with_compression(Compression::Gzip) } else { builder };
    let exporter = match builder.build() {
        Ok(exporter) => exporter,
        Err(error) => {
            error!(%error, "spans are not exported");
            return None;
        }
    };
    let mut processor = BatchSpanProcessor::builder(Exporter::new(exporter)).build();
    processor.set_resource(&resource());
    let sampler = variables.sampler();
    info!(endpoint = &*redacted(&endpoint), ?sampler, "exporting spans");
    Some(Spans::new(sampler, processor))
}

fn metrics(variables: &Variables<impl Fn(&str) -> Option<String>>) -> Option<MetricExport> {
    if !variables.is_on(Signal::Metrics) {
        return None;
    }
    let (endpoint, collector) = collector(variables, Signal::Metrics)?;
    let (headers, every) = (variables.headers(Signal::Metrics), variables.metric_interval());
    let gzip = variables.gzip(Signal::Metrics);
    Some(MetricExport { collector, endpoint, headers, gzip, every, since: now() })
}

/// Returns the address of a signal with the client for it.
fn collector(
    variables: &Variables<impl Fn(&str) -> Option<String>>,
    signal: Signal,
) -> Option<(String, Collector)> {
    variables.check_exporter(signal);
    let (endpoint, certificate) = (variables.endpoint(signal), variables.certificate(signal));
    match Collector::new(&endpoint, certificate.as_deref(), variables.timeout(signal), Handle::current()) {
        Ok(collector) => Some((endpoint, collector)),
        Err(error) => {
            error!(?signal, error, "OpenTelemetry exports nothing of this signal");
            None
        }
    }
}
