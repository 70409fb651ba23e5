//! The spans of attempts, as an observer of a host.

use std::sync::Arc;

use drumline::core::Ending;
use drumline::message::Traceparent;
use drumline::run::{AttemptInfo, AttemptTrace, Event, Observer};
use drumline_runtime::TraceParent;

use crate::names::{ATTEMPT, CONVERSATION_ID, JOB_ID, JOB_TYPE, MESSAGE_ID, RECEIVE_COUNT};
use crate::queue::{QueueUrls, Unsettled};
use crate::spans::{Ended, Link, Operation, Spans, now};
use crate::wire::Value;

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
        let (state, url) = (attempt.tracestate(), self.urls.of(attempt.queue()));
        let link = sender.as_ref().map(|sender| Link { to: sender, state, message_id: &message.id });
        let error = ending.class().map(|class| (class.label(), ending.reason().unwrap_or_default()));
        self.unsettled.ran(message, traceparent, state, *ending == Ending::Done);
        self.spans.end(&Ended {
            operation: Operation::Process,
            name: "process",
            queue: attempt.queue(),
            url: url.as_deref(),
            own: traceparent,
            parent,
            state,
            started_at: *started_at,
            links: link.as_slice(),
            attributes: &[
                (MESSAGE_ID, Value::Text(&message.id)),
                (CONVERSATION_ID, Value::Text(attempt.correlation_id())),
                (JOB_TYPE, Value::Text(attempt.job_type())),
                (JOB_ID, Value::Text(attempt.job_id())),
                (ATTEMPT, Value::Number(attempt.attempt().get().into())),
                (RECEIVE_COUNT, Value::Number(message.receive_count.into())),
            ],
            error,
        });
    }
}

fn message_trace(attempt: &AttemptInfo) -> Option<Traceparent> {
    Traceparent::parse(&attempt.message_traceparent()?)
}
