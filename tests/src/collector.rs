//! A collector of OpenTelemetry, which keeps what is exported to it.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A span as a collector sees it. Ids are hexadecimal digits.
#[derive(Debug, Clone)]
pub struct CollectedSpan {
    /// Its service: `service.name` of the resource.
    pub service: String,
    /// Its name, such as `process jobs`.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// The id of its trace.
    pub trace_id: String,
    /// Its own id.
    pub span_id: String,
    /// The id of its parent; empty if it has none.
    pub parent_id: String,
    /// Its `tracestate`.
    pub state: String,
    /// Its attributes as texts.
    pub attributes: BTreeMap<String, String>,
    /// The spans that it links to: trace, span, and the link's attributes.
    pub links: Vec<(String, String, BTreeMap<String, String>)>,
    /// Its status is an error, with this text.
    pub error: Option<String>,
    /// From its start to its end, in nanoseconds.
    pub nanos: u64,
}

impl CollectedSpan {
    /// Returns its trace context as the header `traceparent` of a recorded span.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace_id, self.span_id)
    }

    /// Returns the text of an attribute; empty if it has none of this name.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Collected {
    spans: Vec<CollectedSpan>,
    /// All metrics of all exports, in their order.
    metrics: Vec<Metric>,
    headers: Vec<HeaderMap>,
    /// The responses to the next requests of a path, instead of success.
    refusals: VecDeque<Refusal>,
    requests: Vec<CollectedRequest>,
}

struct Refusal {
    path: &'static str,
    status: u16,
    retry_after: Option<&'static str>,
}

/// A request as a collector sees it.
#[derive(Debug, Clone)]
pub struct CollectedRequest {
    /// Its path, such as `/v1/traces`.
    pub path: String,
    /// The status of the response.
    pub status: u16,
    /// The time at which it arrived.
    pub at: Instant,
}

/// The collector; it ends when dropped.
pub struct Collector {
    addr: SocketAddr,
    collected: Arc<Mutex<Collected>>,
    server: JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Collector {
    /// Serves on a free port of the loopback interface.
    pub async fn start() -> Self {
        Self::start_on(([127, 0, 0, 1], 0).into()).await
    }

    /// Serves on this address.
    pub async fn start_on(addr: SocketAddr) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let collected = Arc::<Mutex<Collected>>::default();
        let server = tokio::spawn(serve(listener, Arc::clone(&collected)));
        Self { addr, collected, server }
    }

    /// Returns the value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Returns all spans so far.
    pub fn spans(&self) -> Vec<CollectedSpan> {
        self.collected.lock().unwrap().spans.clone()
    }

    /// Returns the spans of this type of operation, such as `settle`.
    pub fn spans_of(&self, operation: &str) -> Vec<CollectedSpan> {
        let mut spans = self.spans();
        spans.retain(|span| span.attribute("messaging.operation.type") == operation);
        spans
    }

    /// Refuses the next request of this path, with this status and `Retry-After`.
    pub fn refuse(&self, path: &'static str, status: u16, retry_after: Option<&'static str>) {
        self.collected.lock().unwrap().refusals.push_back(Refusal { path, status, retry_after });
    }

    /// Returns the requests of this path so far.
    pub fn requests(&self, path: &str) -> Vec<CollectedRequest> {
        let mut requests = self.collected.lock().unwrap().requests.clone();
        requests.retain(|request| request.path == path);
        requests
    }

    /// Returns the metrics by their names, each as it was exported last.
    pub fn metrics(&self) -> BTreeMap<String, Metric> {
        self.all_metrics().into_iter().map(|metric| (metric.name.clone(), metric)).collect()
    }

    /// Returns all metrics of all exports so far, in their order.
    pub fn all_metrics(&self) -> Vec<Metric> {
        self.collected.lock().unwrap().metrics.clone()
    }

    /// Returns the headers of each request so far.
    pub fn headers(&self) -> Vec<HeaderMap> {
        self.collected.lock().unwrap().headers.clone()
    }
}

async fn serve(listener: TcpListener, collected: Arc<Mutex<Collected>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let collected = Arc::clone(&collected);
        let service = service_fn(move |request| {
            let collected = Arc::clone(&collected);
            async move { Ok::<_, Infallible>(collect(request, &collected).await) }
        });
        // A process that ends breaks its connection.
        connections.spawn(async move {
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn collect(request: Request<Incoming>, collected: &Mutex<Collected>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Response::new(Full::default()) };
    let mut body = body.to_bytes().to_vec();
    if head.headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        let packed = std::mem::take(&mut body);
        GzDecoder::new(&*packed).read_to_end(&mut body).unwrap();
    }
    assert_eq!(head.headers["content-type"], "application/x-protobuf");
    let mut collected = collected.lock().unwrap();
    let path = head.uri.path();
    let refusal = collected.refusals.iter().position(|refusal| refusal.path == path);
    let refusal = refusal.and_then(|index| collected.refusals.remove(index));
    let status = refusal.as_ref().map_or(200, |refusal| refusal.status);
    collected.requests.push(CollectedRequest { path: path.to_owned(), status, at: Instant::now() });
    if let Some(Refusal { status, retry_after, .. }) = refusal {
        let mut response = Response::builder().status(status);
        if let Some(seconds) = retry_after {
            response = response.header("retry-after", seconds);
        }
        return response.body(Full::default()).unwrap();
    }
    match path {
        "/v1/traces" => {
            let request = ExportTraceServiceRequest::decode(&*body).unwrap();
            collected.spans.extend(spans(request));
        }
        "/v1/metrics" => {
            let request = ExportMetricsServiceRequest::decode(&*body).unwrap();
            let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
            let metrics = scopes.flat_map(|scope| scope.metrics);
            collected.metrics.extend(metrics);
        }
        other => panic!("a collector has no {other}"),
    }
    collected.headers.push(head.headers);
    Response::new(Full::default())
}

fn spans(request: ExportTraceServiceRequest) -> Vec<CollectedSpan> {
    let mut spans = Vec::new();
    for resource in request.resource_spans {
        let of_resource = texts(&resource.resource.unwrap_or_default().attributes);
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let links = span
                .links
                .iter()
                .map(|link| (hex(&link.trace_id), hex(&link.span_id), texts(&link.attributes)));
            spans.push(CollectedSpan {
                service: of_resource["service.name"].clone(),
                kind: span.kind(),
                trace_id: hex(&span.trace_id),
                span_id: hex(&span.span_id),
                parent_id: hex(&span.parent_span_id),
                state: span.trace_state,
                attributes: texts(&span.attributes),
                links: links.collect(),
                // 2 is an error.
                error: span.status.filter(|status| status.code == 2).map(|status| status.message),
                nanos: span.end_time_unix_nano - span.start_time_unix_nano,
                name: span.name,
            });
        }
    }
    spans
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &KeyValue| match value.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::BoolValue(flag) => Some(flag.to_string()),
        Value::DoubleValue(number) => Some(number.to_string()),
        _ => None,
    };
    attributes.iter().filter_map(|value| Some((value.key.clone(), text(value)?))).collect()
}
