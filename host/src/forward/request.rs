//! The request made from a message.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use drumline::message::{Attribute, AttributeValue, Message, escape_controls};
use drumline::{Context, Failure};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::target::Target;
use super::task_path::task_path;
use crate::clock::since_epoch;
use crate::trace::traceparent;

/// The user agent. Applications recognise Elastic Beanstalk's worker by the first product.
const AGENT: &str = concat!("aws-sqsd/2.0 drumline/", env!("CARGO_PKG_VERSION"));

/// The attributes of a periodic task of Elastic Beanstalk, which have their own headers. See [Periodic
/// tasks](https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/using-features-managing-env-tiers.html#worker-periodictasks).
const TASK: &str = "beanstalk.sqsd.";
const TASK_PATH: &str = "beanstalk.sqsd.path";
const TASK_NAME: &str = "beanstalk.sqsd.task_name";
const TASK_TIME: &str = "beanstalk.sqsd.scheduled_time";

/// The maximum number of an envelope's attributes that become headers, of which each may need two. A message itself has at most
/// ten; an SNS notification in the body can have thousands, and common servers refuse more than a hundred headers.
const MAX_ATTRIBUTES: usize = 32;

/// The attributes with the type of the body.
const CONTENT_TYPES: [&str; 3] = ["Content-Type", "content-type", "contentType"];

pub(super) fn request(
    target: &Target,
    context: &Context,
    job_url: Option<&str>,
) -> Result<Request<Full<Bytes>>, Failure> {
    let body = Full::new(Bytes::from(context.message().body.clone()));
    let mut request =
        Request::builder().method(Method::POST).uri(uri(target, context.message())).body(body)?;
    *request.headers_mut() = headers(context, job_url);
    for (name, value) in &target.headers {
        request.headers_mut().insert(name, value.clone());
    }
    Ok(request)
}

/// Returns the address; a periodic task may contain a path below it.
fn uri(target: &Target, message: &Message) -> Uri {
    let task = message.attribute(TASK_PATH);
    let path = task.and_then(|task| task_path(target.uri.path(), target.uri.query(), task));
    path.and_then(|path| target.at(&path)).unwrap_or_else(|| target.uri.clone())
}

/// Collects headers.
struct Headers(HeaderMap);

impl Headers {
    fn add(&mut self, name: &str, value: &str) {
        // HTTP allows nearly all attribute names; the others are left out.
        if let Ok(name) = HeaderName::try_from(name) {
            // The number of added headers is far below the limit.
            let _ = self.0.try_append(name, header_value(value));
        }
    }

    fn add_some(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    fn add_attributes(
        &mut self,
        attributes: &BTreeMap<String, Attribute>,
        but: &BTreeMap<String, Attribute>,
    ) {
        let attributes =
            attributes.iter().filter(|(name, _)| !but.contains_key(*name) && !name.starts_with(TASK));
        for (name, attribute) in attributes.take(MAX_ATTRIBUTES) {
            let header = format!("x-aws-sqsd-attr-{name}");
            match attribute.value() {
                AttributeValue::Text(text) => self.add(&header, text),
                AttributeValue::Binary(bytes) => self.add(&header, &STANDARD.encode(bytes)),
            }
            if attribute.data_type() != "String" {
                self.add(&format!("x-drumline-attr-type-{name}"), attribute.data_type());
            }
        }
    }
}

fn headers(context: &Context, job_url: Option<&str>) -> HeaderMap {
    let message = context.message();
    let mut headers = Headers(HeaderMap::new());
    headers.add(CONTENT_TYPE.as_str(), content_type(message));
    headers.add(USER_AGENT.as_str(), AGENT);
    headers.add("x-aws-sqsd-msgid", &message.id);
    headers.add("x-aws-sqsd-queue", context.queue());
    headers.add("x-aws-sqsd-receive-count", &message.receive_count.to_string());
    headers.add_some("x-aws-sqsd-first-received-at", message.first_received_at.map(rfc3339).as_deref());
    headers.add_some("x-aws-sqsd-sent-at", message.sent_at.map(rfc3339).as_deref());
    headers.add_some("x-aws-sqsd-sender-id", message.sender_id.as_deref());
    headers.add_some("x-aws-sqsd-path", message.attribute(TASK_PATH));
    headers.add_some("x-aws-sqsd-taskname", message.attribute(TASK_NAME));
    headers.add_some("x-aws-sqsd-scheduled-at", message.attribute(TASK_TIME));
    let none = BTreeMap::new();
    headers.add_attributes(&message.attributes, &none);
    headers.add_attributes(context.envelope_attributes(), &message.attributes);
    headers.add("idempotency-key", &header_key(context.idempotency_key()));
    headers.add("x-drumline-identity", &edges_escaped(context.identity().key()));
    headers.add("x-drumline-type", &header_key(context.job_type()));
    headers.add("x-drumline-job-id", &header_key(context.job_id()));
    headers.add("x-drumline-correlation-id", &header_key(context.correlation_id()));
    headers.add("x-drumline-attempt", &context.attempt().to_string());
    let max_receives = context.max_receives().map(|most| most.to_string());
    headers.add_some("x-drumline-max-receives", max_receives.as_deref());
    headers.add_some("x-drumline-job-url", job_url);
    headers.add_some("x-drumline-group", message.group.as_deref());
    headers.add("traceparent", &traceparent(context));
    headers.add_some("tracestate", context.tracestate());
    let left = context.deadline().saturating_duration_since(Instant::now());
    headers.add("x-drumline-deadline", &rfc3339(since_epoch() + left));
    if let Some(notification) = notification(&message.body) {
        headers.add("x-amz-sns-message-type", "Notification");
        headers.add_some("x-amz-sns-message-id", notification.message_id.as_deref());
        headers.add("x-amz-sns-topic-arn", &notification.topic_arn);
        headers.add_some("x-drumline-sns-subject", notification.subject.as_deref());
    }
    headers.0
}

/// The fields of an SNS notification that become headers, with the names of SNS's own HTTP deliveries. See [HTTP/HTTPS
/// headers](https://docs.aws.amazon.com/sns/latest/dg/http-header.html).
#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "MessageId")]
    message_id: Option<String>,
    #[serde(rename = "TopicArn")]
    topic_arn: String,
    #[serde(rename = "Subject")]
    subject: Option<String>,
}

fn notification(body: &str) -> Option<Notification> {
    // Most bodies are no notifications, and are not parsed.
    let seems = body.trim_start().starts_with('{') && body.contains("\"TopicArn\"");
    seems.then(|| serde_json::from_str(body).ok()).flatten()
}

/// Returns the type of the body: its attribute, else the detected type.
fn content_type(message: &Message) -> &str {
    if let Some(named) = CONTENT_TYPES.iter().find_map(|name| message.attribute(name)) {
        return named;
    }
    let body = message.body.trim_start();
    match body.as_bytes().first() {
        Some(b'{' | b'[') if serde_json::from_str::<IgnoredAny>(body).is_ok() => "application/json",
        Some(b'<') if body.starts_with("<?xml") => "application/xml",
        _ => "text/plain; charset=utf-8",
    }
}

/// Returns a key as the value of a header: different keys stay different.
fn header_key(key: &str) -> String {
    edges_escaped(&escape_controls(key))
}

/// Returns a text without control characters, with escaped spaces at both ends, because servers trim them.
fn edges_escaped(escaped: &str) -> String {
    let inner = escaped.trim_matches(' ');
    if inner.is_empty() {
        return "%{20}".repeat(escaped.len());
    }
    let leading = escaped.len() - escaped.trim_start_matches(' ').len();
    let trailing = escaped.len() - escaped.trim_end_matches(' ').len();
    format!("{}{inner}{}", "%{20}".repeat(leading), "%{20}".repeat(trailing))
}

/// Returns a header value, in which spaces replace control characters.
fn header_value(text: &str) -> HeaderValue {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    HeaderValue::try_from(clean).expect("holds no control characters")
}

/// Returns a time with milliseconds, as Elastic Beanstalk writes times.
fn rfc3339(since_epoch: Duration) -> String {
    let millis = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => String::new(),
    }
}
