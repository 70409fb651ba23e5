//! Forward mode: any application that speaks HTTP becomes a worker, in any language.
//!
//! Every message is `POSTed` as it is, under the headers of
//! [Elastic Beanstalk's worker](https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/using-features-managing-env-tiers.html),
//! so that an application written for that runs unchanged. The status answers for the job: 2xx is done; 408, 425, 429,
//! 5xx and a failing connection are tried again (`Retry-After` is honoured); 400, 410, 413, 415 and 422 are permanent;
//! anything else is tried again.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use drumline::{Context, Failure, MAX_REASON_BYTES, Router, escape_controls, is_out_of_resources};
use drumline_store::SecretUrl;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::handlers::since_epoch;
use crate::trace::traceparent;

/// How long connecting may take: the application is on this machine, or near.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Of an answer's body this much is read, so that its connection can be used again; a longer one costs a new one.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// How long an idle connection is kept: less than the minute after which common servers close theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(45);

type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// A router that forwards every message to `target`.
pub fn forward_to(target: &SecretUrl) -> Router {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_nodelay(true);
    let client: HttpClient = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEEP_ALIVE)
        .build(connector);
    let target = target.clone();
    Router::undecoded(move |context| forward(client.clone(), target.clone(), context))
}

async fn forward(client: HttpClient, target: SecretUrl, context: Context) -> Result<(), Failure> {
    let request = request(target.expose().as_str(), &context)?;
    let exchange = async {
        let response = client.request(request).await.map_err(|error| {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            let text = format!("{target}: {error}{cause}");
            // No word of the application's: this process could open no connection to it.
            if is_out_of_resources(&error) { Failure::out_of_resources(text) } else { Failure::retry(text) }
        })?;
        verdict(response).await
    };
    tokio::select! {
        result = exchange => result,
        // Dropping the exchange closes its connection, which tells the application to stop.
        reason = context.cancelled() => Err(Failure::retry(format!("cancelled ({reason:?}) before the application answered"))),
    }
}

fn request(target: &str, context: &Context) -> Result<Request<Full<Bytes>>, Failure> {
    let body = Full::new(Bytes::from(context.message().body.clone()));
    let mut request = Request::builder().method(Method::POST).uri(target).body(body)?;
    *request.headers_mut() = headers(context);
    Ok(request)
}

fn headers(context: &Context) -> HeaderMap {
    let message = context.message();
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &str| {
        // Attribute names are within what HTTP allows but for the rare odd one, which is left out.
        if let Ok(name) = HeaderName::try_from(name) {
            headers.append(name, header_value(value));
        }
    };
    add(CONTENT_TYPE.as_str(), "application/json");
    add(USER_AGENT.as_str(), concat!("drumline/", env!("CARGO_PKG_VERSION")));
    add("x-aws-sqsd-msgid", &message.id);
    add("x-aws-sqsd-queue", context.queue());
    add("x-aws-sqsd-receive-count", &message.receive_count.to_string());
    if let Some(at) = message.first_received_at {
        add("x-aws-sqsd-first-received-at", &rfc3339(at));
    }
    for (name, attribute) in &message.attributes {
        if let Some(text) = attribute.as_text() {
            add(&format!("x-aws-sqsd-attr-{name}"), text);
        }
        if attribute.data_type() != "String" {
            add(&format!("x-drumline-attr-type-{name}"), attribute.data_type());
        }
    }
    add("idempotency-key", &header_key(context.idempotency_key()));
    add("x-drumline-identity", &edges_escaped(context.identity().key()));
    add("traceparent", &traceparent(context));
    let left = context.deadline().saturating_duration_since(Instant::now());
    add("x-drumline-deadline", &rfc3339(since_epoch() + left));
    headers
}

/// A key as the value of a header: keys that differ arrive as different ones.
fn header_key(key: &str) -> String {
    edges_escaped(&escape_controls(key))
}

/// A text without control characters, whose spaces at both ends are escaped: servers trim them.
fn edges_escaped(escaped: &str) -> String {
    let inner = escaped.trim_matches(' ');
    if inner.is_empty() {
        return "%{20}".repeat(escaped.len());
    }
    let leading = escaped.len() - escaped.trim_start_matches(' ').len();
    let trailing = escaped.len() - escaped.trim_end_matches(' ').len();
    format!("{}{inner}{}", "%{20}".repeat(leading), "%{20}".repeat(trailing))
}

/// Control characters cannot travel in a header; a space stands in for each.
fn header_value(text: &str) -> HeaderValue {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    HeaderValue::try_from(clean).expect("holds no control characters")
}

/// In milliseconds, as Elastic Beanstalk writes times.
fn rfc3339(since_epoch: Duration) -> String {
    let millis = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => String::new(),
    }
}

async fn verdict(response: Response<Incoming>) -> Result<(), Failure> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await;
    if head.status.is_success() {
        return Ok(());
    }
    let text = match body {
        Ok(body) => first_kib(&body.to_bytes()),
        Err(error) => format!("its body could not be read: {error}"),
    };
    let reason = if text.is_empty() { head.status.to_string() } else { format!("{}: {text}", head.status) };
    Err(failure(head.status, retry_after(&head.headers, SystemTime::now()), reason))
}

fn failure(status: StatusCode, retry_after: Option<Duration>, reason: String) -> Failure {
    match (status.as_u16(), retry_after) {
        (400 | 410 | 413 | 415 | 422, _) => Failure::reject(reason),
        (_, Some(delay)) => Failure::retry_after(delay, reason),
        (_, None) => Failure::retry(reason),
    }
}

fn first_kib(bytes: &[u8]) -> String {
    let first = &bytes[..bytes.len().min(MAX_REASON_BYTES)];
    String::from_utf8_lossy(first).trim().to_owned()
}

/// Seconds, or a date; a date that has passed means at once. See
/// [Retry-After](https://www.rfc-editor.org/rfc/rfc9110#field.retry-after).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(secs) = text.parse::<u64>() {
        return Some(Duration::from_secs(secs));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
