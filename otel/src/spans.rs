//! Spans: begun as a pair of ids, and built when they end.
//!
//! A span is data here and no guard: between its start and its end an attempt moves between threads, and a span that is not recorded must
//! cost nothing.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline::message::Traceparent;
use drumline_runtime::redacted;
use http::Uri;
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor};

use crate::names::{
    DESTINATION, ERROR_TYPE, OPERATION, OPERATION_TYPE, QUEUE_URL, SERVER_ADDRESS, SERVER_PORT, SQS, SYSTEM,
};
use crate::sampler::Sampler;

/// The most bytes of an error's text.
const MAX_STATUS_BYTES: usize = 1024;

/// The recorder of spans: the sampler, and the SDK's batches.
#[derive(Debug)]
pub(crate) struct Spans {
    pub(crate) sampler: Sampler,
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    /// Spans have ended since the last flush.
    has_new: AtomicBool,
}

/// A kind of operation with its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Send,
    Receive,
    Process,
    Settle,
}

impl Operation {
    /// The operation's type, as the conventions list them.
    fn label(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Receive => "receive",
            Self::Process => "process",
            Self::Settle => "settle",
        }
    }

    fn kind(self) -> SpanKind {
        match self {
            Self::Send => SpanKind::Producer,
            Self::Process => SpanKind::Consumer,
            Self::Receive | Self::Settle => SpanKind::Client,
        }
    }
}

/// A span that has ended.
pub(crate) struct Ended<'a> {
    pub(crate) operation: Operation,
    /// The operation's name, which begins the name of its span, such as `delete` for an operation of the type `settle`.
    pub(crate) name: &'static str,
    pub(crate) queue: &'a str,
    /// The URL of the queue, if it is known.
    pub(crate) url: Option<&'a str>,
    pub(crate) own: &'a Traceparent,
    pub(crate) parent: Option<&'a Traceparent>,
    /// The W3C `tracestate` that came with the parent.
    pub(crate) state: Option<&'a str>,
    /// Since the Unix epoch.
    pub(crate) started_at: Duration,
    pub(crate) links: Vec<Link>,
    pub(crate) attributes: Vec<KeyValue>,
    /// The type of the error and its text, without its secrets once it is recorded.
    pub(crate) error: Option<(Cow<'static, str>, &'a str)>,
}

impl Spans {
    pub(crate) fn new(sampler: Sampler, processor: BatchSpanProcessor) -> Self {
        let scope = InstrumentationScope::builder("drumline").with_version(env!("CARGO_PKG_VERSION")).build();
        Self { sampler, processor, scope, has_new: AtomicBool::new(false) }
    }

    /// Returns the trace context of a new span if it is recorded: in its parent's trace, else in one of its own.
    pub(crate) fn begin(&self, parent: Option<&Traceparent>) -> Option<Traceparent> {
        let trace_id = match parent {
            Some(parent) => self.sampler.records(parent).then(|| parent.trace_id())?,
            None => self.sampler.new_trace(|| fastrand::u64(..))?,
        };
        Some(Traceparent::new(trace_id, fastrand::u64(1..), true))
    }

    /// Records a span that ends now.
    pub(crate) fn end(&self, ended: Ended<'_>) {
        let Ended { operation, name, queue, url, own, parent, state, started_at, links, attributes, error } =
            ended;
        let mut all = vec![
            KeyValue::new(SYSTEM, SQS),
            KeyValue::new(DESTINATION, queue.to_owned()),
            KeyValue::new(OPERATION, name),
            KeyValue::new(OPERATION_TYPE, operation.label()),
        ];
        if let Some(url) = url {
            all.push(KeyValue::new(QUEUE_URL, url.to_owned()));
            all.extend(server(url));
        }
        all.extend(attributes);
        let mut status = Status::Unset;
        if let Some((kind, text)) = error {
            all.push(KeyValue::new(ERROR_TYPE, kind));
            status = Status::error(bounded(&redacted(text)).to_owned());
        }
        let mut span_links = SpanLinks::default();
        span_links.links = links;
        self.processor.on_end(SpanData {
            span_context: context(own, state, false),
            parent_span_id: parent.map_or(SpanId::INVALID, |parent| SpanId::from(parent.span_id())),
            // Of the spans here, only that of a message's settling has a parent of this process.
            parent_span_is_remote: parent.is_some() && operation != Operation::Settle,
            span_kind: operation.kind(),
            name: format!("{name} {queue}").into(),
            start_time: UNIX_EPOCH + started_at,
            end_time: SystemTime::now(),
            attributes: all,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: span_links,
            status,
            instrumentation_scope: self.scope.clone(),
        });
        self.has_new.store(true, Ordering::Release);
    }

    /// Returns true if spans have ended since the last flush.
    pub(crate) fn has_new(&self) -> bool {
        self.has_new.load(Ordering::Acquire)
    }

    /// Exports what has ended. It blocks its thread until the collector has answered. Returns false if that failed.
    pub(crate) fn flush(&self) -> bool {
        self.has_new.store(false, Ordering::Release);
        self.processor.force_flush().is_ok()
    }
}

/// Returns the present time, since the Unix epoch.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Returns a link to the span that a message was sent in.
pub(crate) fn link(to: &Traceparent, state: Option<&str>, attributes: Vec<KeyValue>) -> Link {
    Link::new(context(to, state, true), attributes, 0)
}

fn context(trace: &Traceparent, state: Option<&str>, is_remote: bool) -> SpanContext {
    let flags = if trace.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    // A state that is malformed is left out, as W3C demands.
    let state = state.and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default();
    SpanContext::new(TraceId::from(trace.trace_id()), SpanId::from(trace.span_id()), flags, is_remote, state)
}

/// Returns the attributes of the server that a queue's URL names; none if the URL is not valid.
fn server(url: &str) -> Vec<KeyValue> {
    let Ok(uri) = url.parse::<Uri>() else { return Vec::new() };
    let Some(host) = uri.host() else { return Vec::new() };
    let default_port = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    let port = uri.port_u16().unwrap_or(default_port);
    vec![KeyValue::new(SERVER_ADDRESS, host.to_owned()), KeyValue::new(SERVER_PORT, i64::from(port))]
}

fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_STATUS_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_that_of_the_queues_url() {
        let expected = |host: &str, port: i64| {
            vec![KeyValue::new("server.address", host.to_owned()), KeyValue::new("server.port", port)]
        };
        let aws = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs";
        assert_eq!(server(aws), expected("sqs.eu-west-1.amazonaws.com", 443));
        assert_eq!(server("http://localhost:4566/000000000000/jobs"), expected("localhost", 4566));
        assert_eq!(server("http://emulator/jobs"), expected("emulator", 80));
        assert!(server("no url").is_empty());
    }
}
