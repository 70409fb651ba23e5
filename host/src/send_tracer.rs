//! The seam for the spans of messages that this process sends. Without a tracer it costs one atomic read for each message.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use drumline::message::Traceparent;

/// The process's tracer: handlers make producers of their own, which no host could hand one to.
static TRACER: OnceLock<Arc<dyn SendTracer>> = OnceLock::new();

/// A recorder of the spans of sent messages.
pub trait SendTracer: Send + Sync + 'static {
    /// Begins the span of a message, whose sender's trace context is `parent`. Returns `None` if the span is not recorded.
    fn begin(&self, parent: Option<&Traceparent>) -> Option<SendSpan>;

    /// Ends a span. It is called once for a message that SQS has taken, and once for each delivery that has failed.
    fn end(&self, span: &SendSpan, sent: &SentMessage<'_>);
}

/// A span that has begun. The message carries its trace context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendSpan {
    /// The span's own trace context.
    pub traceparent: Traceparent,
    /// The trace context of the code that sends.
    pub parent: Option<Traceparent>,
    /// The start of the span, since the Unix epoch.
    pub started_at: Duration,
}

/// The facts about a message at the end of its span.
#[derive(Debug, Clone, Copy)]
pub struct SentMessage<'a> {
    /// The URL of its queue.
    pub queue_url: &'a str,
    /// The type of its job.
    pub job_type: &'a str,
    /// The id of its job.
    pub job_id: Option<&'a str>,
    /// The correlation id of its job.
    pub correlation_id: Option<&'a str>,
    /// The id that SQS gave it, or the class and the text of the reason for which SQS has not taken it.
    pub result: Result<&'a str, (&'static str, &'a str)>,
}

/// Records the spans of all messages that this process sends from now on. Returns false if it already has a tracer, which stays.
pub fn set_send_tracer(tracer: Arc<dyn SendTracer>) -> bool {
    TRACER.set(tracer).is_ok()
}

/// Returns the tracer of this process, if it has one.
pub fn send_tracer() -> Option<&'static dyn SendTracer> {
    TRACER.get().map(|tracer| &**tracer)
}
