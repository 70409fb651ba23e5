//! Spans: begun as a pair of ids, and built when they end.
//!
//! A span is data here and no guard: between its start and its end an attempt moves between threads, and a span that is not recorded must
//! cost nothing.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline::message::Traceparent;
use drumline_runtime::redacted;
use opentelemetry::trace::TraceState;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::batch::SpanBatches;
use crate::names::{
    DESTINATION, ERROR_TYPE, MESSAGE_ID, OPERATION, OPERATION_TYPE, QUEUE_URL, SERVER_ADDRESS, SERVER_PORT,
    SQS, SYSTEM,
};
use crate::repeated::Repeated;
use crate::sampler::Sampler;
use crate::wire::{self, Value, bounded};

/// The longest `tracestate`: which W3C requires to be passed on.
const MAX_STATE_BYTES: usize = 512;

/// The size of most spans.
const USUAL_BYTES: usize = 1024;

/// The protocol's flags of a trace context: it is sampled; it says if it is remote; it is.
const SAMPLED: u32 = 0x1;
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// The protocol's number of a status that is an error.
const ERROR: u64 = 2;

/// The recorder of spans: the sampler, and the batches.
#[derive(Debug)]
pub(crate) struct Spans {
    pub(crate) sampler: Sampler,
    pub(crate) batches: Arc<SpanBatches>,
    /// Exports the batches as long as spans can end.
    pub(crate) _exports: Repeated,
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
    pub(crate) links: &'a [Link<'a>],
    pub(crate) attributes: &'a [(&'static str, Value<'a>)],
    /// The type of the error and its text, without its secrets once it is recorded.
    pub(crate) error: Option<(&'a str, &'a str)>,
}

/// A link to the span that a message was sent in.
pub(crate) struct Link<'a> {
    pub(crate) to: &'a Traceparent,
    /// The W3C `tracestate` that came with it.
    pub(crate) state: Option<&'a str>,
    pub(crate) message_id: &'a str,
}

impl Spans {
    /// Returns the trace context of a new span if it is recorded: in its parent's trace, else in one of its own.
    pub(crate) fn begin(&self, parent: Option<&Traceparent>) -> Option<Traceparent> {
        let trace_id = match parent {
            Some(parent) => self.sampler.records(parent).then(|| parent.trace_id())?,
            None => self.sampler.new_trace(|| fastrand::u64(..))?,
        };
        Some(Traceparent::new(trace_id, fastrand::u64(1..), true))
    }

    /// Records a span that ends now.
    pub(crate) fn end(&self, ended: &Ended<'_>) {
        let mut span = Vec::with_capacity(USUAL_BYTES);
        ended.write(&mut span, now());
        self.batches.add(&span);
    }
}

/// The fields of the protocol's `Span`, by the numbers of its
/// [definition](https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto).
impl Ended<'_> {
    fn write(&self, out: &mut Vec<u8>, ended_at: Duration) {
        write_context(out, self.own, self.state);
        if let Some(parent) = self.parent {
            wire::bytes(out, 4, &parent.span_id().to_be_bytes());
        }
        wire::text(out, 5, &[self.name, " ", self.queue].concat());
        wire::number(out, 6, u64::from((self.operation.kind() as i32).cast_unsigned()));
        wire::fixed64(out, 7, nanos(self.started_at));
        wire::fixed64(out, 8, nanos(ended_at));
        let mut attribute = |key, value| wire::attribute(out, 9, key, value);
        attribute(SYSTEM, Value::Text(SQS));
        attribute(DESTINATION, Value::Text(self.queue));
        attribute(OPERATION, Value::Text(self.name));
        attribute(OPERATION_TYPE, Value::Text(self.operation.label()));
        if let Some(url) = self.url {
            attribute(QUEUE_URL, Value::Text(url));
            if let Some((host, port)) = server(url) {
                attribute(SERVER_ADDRESS, Value::Text(host));
                attribute(SERVER_PORT, Value::Number(port.into()));
            }
        }
        for (key, value) in self.attributes {
            // Producers choose some of them.
            let value = if let Value::Text(text) = value { Value::Text(bounded(text)) } else { *value };
            attribute(key, value);
        }
        if let Some((kind, _)) = self.error {
            attribute(ERROR_TYPE, Value::Text(kind));
        }
        for link in self.links {
            let mut written = Vec::new();
            link.write(&mut written);
            wire::bytes(out, 13, &written);
        }
        if let Some((_, text)) = self.error {
            let mut status = Vec::new();
            wire::text(&mut status, 2, bounded(&redacted(text)));
            wire::number(&mut status, 3, ERROR);
            wire::bytes(out, 15, &status);
        }
        // Of the spans here, only that of a message's settling has a parent of this process.
        let is_remote = self.parent.is_some() && self.operation != Operation::Settle;
        wire::fixed32(out, 16, flags(self.own, is_remote));
    }
}

/// The fields of the protocol's `Span.Link`.
impl Link<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        write_context(out, self.to, self.state);
        wire::attribute(out, 4, MESSAGE_ID, Value::Text(self.message_id));
        wire::fixed32(out, 6, flags(self.to, true));
    }
}

/// Writes the fields that a span and a link have in common.
fn write_context(out: &mut Vec<u8>, trace: &Traceparent, state: Option<&str>) {
    wire::bytes(out, 1, &trace.trace_id().to_be_bytes());
    wire::bytes(out, 2, &trace.span_id().to_be_bytes());
    // A state that is malformed is left out, as W3C demands, and one of unreasonable length.
    let usual = state.filter(|state| state.len() <= MAX_STATE_BYTES && TraceState::from_str(state).is_ok());
    if let Some(state) = usual {
        wire::text(out, 3, state);
    }
}

/// Returns the flags of a trace context: for a span, whether its parent is remote; for a link, whether the linked span is.
fn flags(trace: &Traceparent, is_remote: bool) -> u32 {
    let sampled = if trace.is_sampled() { SAMPLED } else { 0 };
    let remote = if is_remote { IS_REMOTE } else { 0 };
    sampled | HAS_IS_REMOTE | remote
}

/// Returns the present time, since the Unix epoch.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Returns a time as the protocol has it.
pub(crate) fn nanos(since_epoch: Duration) -> u64 {
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns the host and the port of the server that a queue's URL names. `None` if it names none.
fn server(url: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let default_port = if scheme == "http" { 80 } else { 443 };
    let split = host.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = split.unwrap_or((host, default_port));
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use opentelemetry_proto::tonic::common::v1::any_value;
    use opentelemetry_proto::tonic::trace::v1::{Span, Status};
    use prost::Message;

    use super::*;

    const URL: &str = "http://localhost:4566/0/jobs";

    fn written(ended: &Ended<'_>) -> Span {
        let mut bytes = Vec::new();
        ended.write(&mut bytes, Duration::from_nanos(9));
        Span::decode(&*bytes).unwrap()
    }

    #[test]
    fn a_span_is_read_as_it_was_written() {
        let (own, parent) = (Traceparent::new(7 << 100, 8, true), Traceparent::new(7 << 100, 1 << 60, true));
        let sender = Traceparent::new(5, 6, false);
        let long = "x".repeat(300);
        let ended = Ended {
            operation: Operation::Process,
            name: "process",
            queue: "jobs",
            url: Some(URL),
            own: &own,
            parent: Some(&parent),
            state: Some("vendor=7"),
            started_at: Duration::from_nanos(3),
            links: &[Link { to: &sender, state: Some("not a state"), message_id: "m-1" }],
            attributes: &[
                ("long", Value::Text(&long)),
                ("count", Value::Number(300)),
                ("less", Value::Number(-1)),
            ],
            error: Some(("retry_asked", "password=hunter2")),
        };
        let span = written(&ended);
        assert_eq!((&*span.name, span.kind()), ("process jobs", SpanKind::Consumer));
        assert_eq!(span.trace_id, (7_u128 << 100).to_be_bytes());
        assert_eq!(
            (span.span_id, span.parent_span_id),
            (8_u64.to_be_bytes().to_vec(), (1_u64 << 60).to_be_bytes().to_vec())
        );
        assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (3, 9));
        assert_eq!((&*span.trace_state, span.flags), ("vendor=7", 0x301));
        assert_eq!(span.status, Some(Status { message: "password=***".to_owned(), code: 2 }));
        let link = &span.links[0];
        assert_eq!((&*link.trace_id, &*link.span_id), (&5_u128.to_be_bytes()[..], &6_u64.to_be_bytes()[..]));
        assert_eq!((&*link.trace_state, link.flags, &*link.attributes[0].key), ("", 0x300, MESSAGE_ID));
        let value = |key: &str| {
            let attribute = span.attributes.iter().find(|attribute| attribute.key == key).unwrap();
            match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
                any_value::Value::StringValue(text) => text.clone(),
                any_value::Value::IntValue(number) => number.to_string(),
                other => panic!("{other:?}"),
            }
        };
        for (key, expected) in [
            (SYSTEM, "aws_sqs"),
            (DESTINATION, "jobs"),
            (OPERATION, "process"),
            (OPERATION_TYPE, "process"),
            (QUEUE_URL, URL),
            (SERVER_ADDRESS, "localhost"),
            (SERVER_PORT, "4566"),
            (ERROR_TYPE, "retry_asked"),
            ("long", &*long),
            ("count", "300"),
            ("less", "-1"),
        ] {
            assert_eq!(value(key), expected, "{key}");
        }
        let of_settling = Ended { operation: Operation::Settle, error: None, links: &[], ..ended };
        let span = written(&of_settling);
        assert_eq!(
            (span.kind(), span.flags, span.status, span.links.len()),
            (SpanKind::Client, 0x101, None, 0)
        );
    }

    #[test]
    fn the_server_is_that_of_the_queues_url() {
        let aws = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs";
        assert_eq!(server(aws), Some(("sqs.eu-west-1.amazonaws.com", 443)));
        assert_eq!(server("http://localhost:4566/000000000000/jobs"), Some(("localhost", 4566)));
        assert_eq!(server("http://emulator/jobs"), Some(("emulator", 80)));
        assert_eq!(server("http://[::1]:4566/jobs"), Some(("[::1]", 4566)));
        assert_eq!(server("http://[::1]/jobs"), Some(("[::1]", 80)));
        assert_eq!((server("no url"), server("http:///jobs")), (None, None));
    }
}
