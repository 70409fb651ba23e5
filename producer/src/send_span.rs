//! The trace of a message: what it carries, and the span of its sending.

use std::sync::Arc;

use drumline::message::limits::{MAX_ATTRIBUTES, MAX_MESSAGE_BYTES};
use drumline::message::{Attribute, Traceparent};
use drumline_runtime::{SentMessage, send_tracer};

use crate::attributes::{TRACEPARENT, size};
use crate::pack::Outgoing;
use crate::send::{NotTaken, Taken};

impl Outgoing {
    /// Begins the span of its sending, whose trace context it then carries. Without a recorded span it carries that of its sender.
    pub fn begin_span(&mut self, parent: Option<Traceparent>) {
        self.span = send_tracer().and_then(|tracer| tracer.begin(parent.as_ref())).map(Box::new);
        let own = self.span.as_ref().map(|span| span.traceparent.clone());
        self.carry(own.or(parent));
    }

    /// Adds a trace: as the X-Ray header, which takes no room, and as an attribute if there is room for one more. The message's own
    /// attribute gives way to a span's.
    pub(crate) fn carry(&mut self, trace: Option<Traceparent>) {
        let Some(trace) = trace else { return };
        self.trace_header = Some(trace.to_xray());
        let (attributes, body_bytes) = (Arc::make_mut(&mut self.attributes), self.body.len());
        if attributes.contains_key(TRACEPARENT) {
            if self.span.is_some() {
                // As long as the one before.
                attributes.insert(TRACEPARENT.to_owned(), Attribute::text(trace.as_str()));
            }
            return;
        }
        if attributes.len() >= MAX_ATTRIBUTES {
            return;
        }
        attributes.insert(TRACEPARENT.to_owned(), Attribute::text(trace.as_str()));
        if body_bytes + size(attributes) > MAX_MESSAGE_BYTES {
            attributes.remove(TRACEPARENT);
        }
    }
}

/// Ends the span of a message that has its final answer.
pub(crate) fn end_span(queue_url: &str, message: &Outgoing, result: Result<&Taken, (&'static str, &str)>) {
    let (Some(span), Some(tracer)) = (&message.span, send_tracer()) else { return };
    tracer.end(
        span,
        &SentMessage {
            queue_url,
            job_type: &message.job_type,
            job_id: message.job_id.as_deref(),
            correlation_id: message.correlation_id.as_deref(),
            result: result.map(|taken| &*taken.message_id),
        },
    );
}

/// Returns an answer as [`end_span`] takes it.
pub(crate) fn answer_of(result: &Result<Taken, NotTaken>) -> Result<&Taken, (&'static str, &str)> {
    result.as_ref().map_err(|not_taken| (not_taken.why.label(), &*not_taken.text))
}
