//! The spans of attempts, as an observer of a host.

use std::borrow::Cow;
use std::sync::Arc;

use drumline::core::Ending;
use drumline::message::Traceparent;
use drumline::run::{AttemptInfo, AttemptTrace, Event, Observer};
use drumline_runtime::TraceParent;
use opentelemetry::KeyValue;

use crate::names::{ATTEMPT, CONVERSATION_ID, JOB_ID, JOB_TYPE, MESSAGE_ID, RECEIVE_COUNT};
use crate::queue::{QueueUrls, Unsettled};
use crate::spans::{Ended, Operation, Spans, link, now};

/// Records a span for each attempt.
pub(crate) struct ProcessSpans {
    pub(crate) spans: Arc<Spans>,
    pub(crate) parent: TraceParent,
    pub(crate) unsettled: Arc<Unsettled>,
    pub(crate) urls: Arc<QueueUrls>,
}

impl Observer for ProcessSpans {
    fn observe(&self, event: &Event<'_>) {
        match *event {
            Event::RunStarted { attempt } => self.started(attempt),
            Event::RunEnded { attempt, ending, .. } => self.ended(attempt, ending),
            _ => {}
        }
    }
}

impl ProcessSpans {
    fn started(&self, attempt: &AttemptInfo) {
        let parent = match self.parent {
            TraceParent::Message => message_trace(attempt),
            TraceParent::None => None,
        };
        if let Some(traceparent) = self.spans.begin(parent.as_ref()) {
            attempt.begin_trace(AttemptTrace { traceparent, started_at: now() });
        }
    }

    fn ended(&self, attempt: &AttemptInfo, ending: &Ending) {
        let Some(AttemptTrace { traceparent, started_at }) = attempt.trace() else { return };
        let (message, sender) = (attempt.message(), message_trace(attempt));
        let parent = sender.as_ref().filter(|_| self.parent == TraceParent::Message);
        let id = KeyValue::new(MESSAGE_ID, message.id.to_string());
        let links =
            sender.iter().map(|sender| link(sender, attempt.tracestate(), vec![id.clone()])).collect();
        let error =
            ending.class().map(|class| (Cow::Borrowed(class.label()), ending.reason().unwrap_or_default()));
        self.unsettled.ran(message, traceparent, attempt.tracestate(), *ending == Ending::Done);
        self.spans.end(Ended {
            operation: Operation::Process,
            name: "process",
            queue: attempt.queue(),
            url: self.urls.of(attempt.queue()).as_deref(),
            own: traceparent,
            parent,
            state: attempt.tracestate(),
            started_at: *started_at,
            links,
            attributes: vec![
                id,
                KeyValue::new(CONVERSATION_ID, attempt.correlation_id().to_owned()),
                KeyValue::new(JOB_TYPE, attempt.job_type().to_owned()),
                KeyValue::new(JOB_ID, attempt.job_id().to_owned()),
                KeyValue::new(ATTEMPT, i64::from(attempt.attempt().get())),
                KeyValue::new(RECEIVE_COUNT, i64::from(message.receive_count)),
            ],
            error,
        });
    }
}

fn message_trace(attempt: &AttemptInfo) -> Option<Traceparent> {
    Traceparent::parse(&attempt.message_traceparent()?)
}
