//! The request that a message becomes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use drumline::{Context, Failure, escape_controls};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use url::Url;

use crate::handlers::since_epoch;
use crate::trace::traceparent;

pub(super) fn request(target: &Url, context: &Context) -> Result<Request<Full<Bytes>>, Failure> {
    let body = Full::new(Bytes::from(context.message().body.clone()));
    let mut request = Request::builder().method(Method::POST).uri(target.as_str()).body(body)?;
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
