//! The facts of one attempt, as its handler, its host and the observers read them.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tracing::Span;

use crate::core::claim::Claim;
use crate::message::identity::Identity;
use crate::message::sqs_message::{Attribute, Message, text_of};
use crate::message::trace::{Traceparent, traceparent, tracestate};

/// The facts of one attempt at one job: its message, its type, its identity, its deadline. A handler reads them from its
/// [`Context`](crate::Context).
pub struct AttemptInfo {
    pub(crate) queue: Arc<str>,
    pub(crate) message: Arc<Message>,
    pub(crate) attempt: NonZeroU32,
    pub(crate) deadline: Instant,
    pub(crate) span: Span,
    pub(crate) job_type: Arc<str>,
    pub(crate) version: u32,
    pub(crate) identity: Arc<Identity>,
    pub(crate) attributes: BTreeMap<String, Attribute>,
    pub(crate) correlation_id: Option<Arc<str>>,
    pub(crate) claim: Option<Arc<Claim>>,
    pub(crate) traced: OnceLock<AttemptTrace>,
}

/// The span that an observer records of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptTrace {
    /// The trace context of the span.
    pub traceparent: Traceparent,
    /// The start of the span, since the Unix epoch.
    pub started_at: Duration,
}

impl AttemptInfo {
    /// Returns the number of this attempt at this message, from 1. A run that was stopped, for example by a deployment, does
    /// not count; a crash does.
    pub fn attempt(&self) -> NonZeroU32 {
        self.attempt
    }

    /// The latest time at which this attempt is cancelled: the handler timeout, or the rest of SQS's twelve hours.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The name of the queue, which a queue of another region or account may share.
    pub fn queue(&self) -> &str {
        // No name contains a slash, while a label has one after the prefix that distinguishes queues of the same name.
        self.queue.rsplit('/').next().unwrap_or_default()
    }

    /// The message as received.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The job's type, such as `image.process`.
    pub fn job_type(&self) -> &str {
        &self.job_type
    }

    /// The payload's version as the producer wrote it, before any upcaster.
    pub fn schema_version(&self) -> u32 {
        self.version
    }

    /// The producer's id of the job, else the envelope's own, else the message id.
    pub fn job_id(&self) -> &str {
        self.identity.job_id()
    }

    /// Returns the idempotency key of the job: the one that its code computes, else the producer's, else the job id. Pass it to
    /// the service that has the effect. It is unique among jobs of one scope, type and source; a service that several job types
    /// use should get [`identity().key()`](Identity::key) instead.
    pub fn idempotency_key(&self) -> &str {
        self.identity.id()
    }

    /// Returns the identity of the job, which is the key of its claim, its history and its progress.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Returns the text of an attribute: of the message, else of the envelope inside it (an SNS notification's attributes,
    /// a `CloudEvent`'s extensions).
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.message.attribute(name).or_else(|| text_of(&self.attributes, name))
    }

    /// Returns the attributes that came inside the envelope: of an SNS notification, or a `CloudEvent`'s extensions.
    pub fn envelope_attributes(&self) -> &BTreeMap<String, Attribute> {
        &self.attributes
    }

    /// Returns the W3C `traceparent` for the handler's requests: that of the attempt's own span if one is recorded, else the
    /// one that came with the message. See [`message_traceparent`](Self::message_traceparent).
    pub fn traceparent(&self) -> Option<String> {
        match self.traced.get() {
            Some(trace) => Some(trace.traceparent.as_str().to_owned()),
            None => self.message_traceparent(),
        }
    }

    /// Returns the W3C `traceparent` that came with the message: its own, else the one inside the envelope. See
    /// [`Message::traceparent`].
    pub fn message_traceparent(&self) -> Option<String> {
        traceparent(&self.message, &self.attributes)
    }

    /// Returns the W3C `tracestate` that came with the message's `traceparent`.
    pub fn tracestate(&self) -> Option<&str> {
        tracestate(&self.message, &self.attributes)
    }

    /// Sets the span that an observer records of this attempt, at its [start](crate::run::Event::RunStarted). Only the first one counts.
    pub fn begin_trace(&self, trace: AttemptTrace) {
        // A second observer's span would split the trace.
        let _ = self.traced.set(trace);
    }

    /// Returns the span that an observer records of this attempt.
    pub fn trace(&self) -> Option<&AttemptTrace> {
        self.traced.get()
    }

    /// The ID of the request that caused the job, else the job ID.
    pub fn correlation_id(&self) -> &str {
        self.correlation_id.as_deref().unwrap_or(self.job_id())
    }

    /// The span of this attempt; the handler already runs inside it.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Returns the claim of this attempt: as long as it lasts, no other run has the job's idempotency key. `None` if the host
    /// keeps no claims.
    ///
    /// Its counter is a fencing token: a service that checks it refuses an owner that was paused and wakes up late.
    pub fn claim(&self) -> Option<&Arc<Claim>> {
        self.claim.as_ref()
    }
}

impl fmt::Debug for AttemptInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptInfo")
            .field("queue", &self.queue)
            .field("job_type", &self.job_type)
            .field("job_id", &self.job_id())
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
