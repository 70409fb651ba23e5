//! Requests to the collector.

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use drumline_runtime::{error_text, read_delay};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::warn;

use crate::export_error::ExportError;
use crate::export_log::ExportLog;
use crate::retry::Retries;
use crate::tls;
use crate::variables::{Signal, Variables};
use crate::wire::bounded;

/// The name and version of the exporter.
const AGENT: &str = concat!("Drumline-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));

/// An answer says in a few bytes what was not taken.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The time after which an idle connection is closed: less than the minute after which common servers close theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(45);

/// The way of one signal to the collector.
#[derive(Debug)]
pub(crate) struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoint: Uri,
    /// Of each request.
    headers: HeaderMap,
    gzip: bool,
    /// The time for an export with its retries.
    timeout: Duration,
    log: ExportLog,
}

impl Collector {
    /// Returns the way that the variables describe.
    pub(crate) fn new<F>(variables: &Variables<F>, signal: Signal) -> Result<Self, String>
    where
        F: Fn(&str) -> Option<String>,
    {
        let endpoint: Uri = variables
            .endpoint(signal)
            .parse()
            .map_err(|error| format!("the address of the collector is not valid: {error}"))?;
        let is_https = match (endpoint.scheme_str(), endpoint.host()) {
            (Some("http"), Some(_)) => false,
            (Some("https"), Some(_)) => true,
            _ => return Err("the address of the collector must begin with http:// or https://".to_owned()),
        };
        let config = tls::config(is_https, &variables.certificates(signal))?;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new().with_tls_config(config);
        let connector = connector.https_or_http().enable_http1().wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP_ALIVE)
            .build(connector);
        let gzip = variables.gzip(signal);
        let headers = headers(&variables.headers(signal), gzip);
        let log = ExportLog::new(signal, shown(&endpoint));
        Ok(Self { client, endpoint, headers, gzip, timeout: variables.timeout(signal), log })
    }

    /// Returns the address without credentials.
    pub(crate) fn shown(&self) -> String {
        shown(&self.endpoint)
    }

    /// Logs that so many spans or series are not exported.
    pub(crate) fn lost(&self, items: usize, error: &ExportError) {
        self.log.failed(items, error);
    }

    /// Exports a request that contains so many spans or series. A failure is logged.
    pub(crate) async fn export(&self, request: Vec<u8>, items: usize) -> Result<(), ExportError> {
        let body = if self.gzip { compressed(request).await } else { Ok(request) };
        let result = match body {
            Ok(body) => self.post(body.into()).await,
            Err(error) => Err(ExportError::Invalid(error)),
        };
        match result {
            Ok(None) => {
                self.log.succeeded();
                Ok(())
            }
            // The others have arrived: the request was exported.
            Ok(Some((rejected, reason))) => {
                self.log.failed(rejected, &ExportError::Rejected(rejected, reason));
                Ok(())
            }
            Err(error) => {
                self.log.failed(items, &error);
                Err(error)
            }
        }
    }

    /// Posts until an answer is no transient error, or the time is up. Returns the rejected part, with the collector's reason.
    async fn post(&self, body: Bytes) -> Result<Option<(usize, String)>, ExportError> {
        let end = Instant::now() + self.timeout;
        let (mut retries, mut jitter) = (Retries::default(), fastrand::Rng::new());
        loop {
            let error = match timeout_at(end, self.try_post(body.clone())).await {
                Ok(Ok(answer)) => return Ok(rejected(&answer)),
                Ok(Err(error)) => error,
                Err(_) => return Err(ExportError::TimedOut(self.timeout)),
            };
            match retries.next(&error, &mut jitter) {
                Some(wait) if Instant::now() + wait < end => sleep(wait).await,
                _ => return Err(error),
            }
        }
    }

    async fn try_post(&self, body: Bytes) -> Result<Bytes, ExportError> {
        let mut request = Request::post(&self.endpoint)
            .body(Full::new(body))
            .map_err(|error| ExportError::Invalid(error.to_string()))?;
        *request.headers_mut() = self.headers.clone();
        let answer = self.client.request(request).await.map_err(|error| {
            let text = error_text(&error);
            if error.is_connect() { ExportError::NotConnected(text) } else { ExportError::Interrupted(text) }
        })?;
        let (head, body) = answer.into_parts();
        if !head.status.is_success() {
            let delay = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let delay = delay.and_then(|text| read_delay(text, SystemTime::now()));
            return Err(ExportError::Refused(head.status, delay));
        }
        // The request was accepted. An answer that cannot be read rejects nothing.
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        Ok(body.map(Collected::to_bytes).unwrap_or_default())
    }
}

/// Compresses a request on a thread of its own: it takes milliseconds, and the runtime has renewals to do. A thread of the runtime for blocking
/// work would hold up the end of the program.
async fn compressed(request: Vec<u8>) -> Result<Vec<u8>, String> {
    let (done, result) = oneshot::channel();
    let compress = move || {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        done.send(encoder.write_all(&request).and_then(|()| encoder.finish())).is_ok()
    };
    let thread = std::thread::Builder::new().name("drumline-otel".to_owned()).spawn(compress);
    thread.map_err(|error| error.to_string())?;
    let compressed = result.await.map_err(|_| "the thread that compresses has panicked".to_owned())?;
    compressed.map_err(|error| error.to_string())
}

/// Returns the headers of each request. The protocol's own cannot be replaced.
fn headers(of_variables: &[(String, String)], gzip: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    for (name, value) in of_variables {
        if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            value.set_sensitive(true);
            headers.insert(name, value);
        } else {
            warn!(header = name, "OpenTelemetry header ignored: its name or value has invalid characters");
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers
}

/// Returns an address without userinfo and query, either of which can hold a key.
fn shown(endpoint: &Uri) -> String {
    let scheme = endpoint.scheme_str().unwrap_or_default();
    let authority = endpoint.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{}", endpoint.path())
}

/// Returns the number of spans or data points that an answer rejects, with the reason. The answers of all signals have the same form.
fn rejected(answer: &[u8]) -> Option<(usize, String)> {
    // An answer that cannot be read rejects nothing: some collectors answer with JSON, or with a text.
    let partial = ExportTraceServiceResponse::decode(answer).ok()?.partial_success?;
    let count = usize::try_from(partial.rejected_spans).ok().filter(|count| *count > 0)?;
    Some((count, bounded(&partial.error_message).to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use opentelemetry_proto::tonic::collector::metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
    };

    use super::*;

    #[test]
    fn an_address_is_shown_without_credentials() {
        for (endpoint, expected) in [
            ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces"),
            ("https://user:secret@host/otlp/v1/metrics?key=secret", "https://host/otlp/v1/metrics"),
            ("https://token@host:443/v1/traces", "https://host:443/v1/traces"),
        ] {
            assert_eq!(shown(&endpoint.parse().unwrap()), expected);
        }
    }

    #[test]
    fn keys_are_in_no_debug_output_and_the_protocols_headers_stay() {
        let of_variables = [("api-key", "secret"), ("content-type", "text/plain"), ("bad name", "x")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let headers = headers(&of_variables, true);
        assert_eq!(headers["api-key"], "secret");
        assert_eq!(
            (&headers["content-type"], &headers["content-encoding"]),
            (&HeaderValue::from_static("application/x-protobuf"), &HeaderValue::from_static("gzip"))
        );
        assert!(!format!("{headers:?}").contains("secret"));
    }

    #[test]
    fn an_answer_of_any_signal_says_what_it_rejects() {
        let answer = |rejected_data_points| {
            let partial =
                ExportMetricsPartialSuccess { rejected_data_points, error_message: "too old".to_owned() };
            ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        };
        assert_eq!(rejected(&answer(3)), Some((3, "too old".to_owned())));
        assert_eq!(rejected(&answer(0)), None);
        for other in [&b""[..], b"{}", b"ok"] {
            assert_eq!(rejected(other), None);
        }
    }
}
