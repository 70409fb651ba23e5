//! The spans of sent messages.

use std::borrow::Cow;
use std::sync::Arc;

use drumline::message::Traceparent;
use drumline_runtime::{SendSpan, SendTracer, SentMessage};
use opentelemetry::KeyValue;

use crate::names::{BODY_SIZE, CONVERSATION_ID, JOB_ID, JOB_TYPE, MESSAGE_ID, QUEUE_URL};
use crate::spans::{Ended, Operation, Spans, now};

/// Records a span for each message that is sent.
pub(crate) struct SendSpans(pub(crate) Arc<Spans>);

impl SendTracer for SendSpans {
    fn begin(&self, parent: Option<&Traceparent>) -> Option<SendSpan> {
        let traceparent = self.0.begin(parent)?;
        Some(SendSpan { traceparent, parent: parent.cloned(), started_at: now() })
    }

    fn end(&self, span: &SendSpan, sent: &SentMessage<'_>) {
        let texts = [
            (MESSAGE_ID, sent.result.ok()),
            (CONVERSATION_ID, sent.correlation_id),
            (JOB_ID, sent.job_id),
            (JOB_TYPE, Some(sent.job_type).filter(|job_type| !job_type.is_empty())),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some(KeyValue::new(name, text?.to_owned())));
        let mut attributes: Vec<KeyValue> = texts.collect();
        attributes.push(KeyValue::new(QUEUE_URL, sent.queue_url.to_owned()));
        attributes.push(KeyValue::new(BODY_SIZE, i64::try_from(sent.body_bytes).unwrap_or(i64::MAX)));
        self.0.end(Ended {
            operation: Operation::Send,
            name: "send",
            queue: sent.queue_url.rsplit('/').next().unwrap_or_default(),
            own: &span.traceparent,
            parent: span.parent.as_ref(),
            state: None,
            started_at: span.started_at,
            links: Vec::new(),
            attributes,
            error: sent.result.err().map(|text| (Cow::Borrowed("not_sent"), text)),
        });
    }
}
