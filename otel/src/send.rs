//! The spans of sent messages.

use std::sync::Arc;

use drumline::message::Traceparent;
use drumline_runtime::{SendSpan, SendTracer, SentMessage};

use crate::names::{CONVERSATION_ID, JOB_ID, JOB_TYPE, MESSAGE_ID};
use crate::spans::{Ended, Operation, Spans, now};
use crate::wire::Value;

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
        let attributes: Vec<_> =
            texts.into_iter().filter_map(|(name, text)| Some((name, Value::Text(text?)))).collect();
        self.0.end(&Ended {
            operation: Operation::Send,
            name: "send",
            queue: sent.queue_url.rsplit('/').next().unwrap_or_default(),
            url: Some(sent.queue_url),
            own: &span.traceparent,
            parent: span.parent.as_ref(),
            state: None,
            started_at: span.started_at,
            links: &[],
            attributes: &attributes,
            error: sent.result.err(),
        });
    }
}
