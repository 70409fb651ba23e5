//! A job with its options, before it is sent.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use drumline::Job;
use drumline::message::limits::{MAX_ATTRIBUTES, MAX_MESSAGE_BYTES};
use drumline::message::{Attribute, Traceparent};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::attributes::{Attributes, TRACEPARENT, attributes, check_attribute, size};
use crate::encode::encode;
use crate::error::{ProduceError, Refusal};
use crate::new_job::NewJob;
use crate::options::{Options, Place, Refused, Spread};
use crate::origin::Origin;
use crate::pack::Outgoing;
use crate::prepared::Prepared;
use crate::receipt::Receipt;
use crate::routes::Routes;
use crate::target_queue::TargetQueue;
use crate::unsendable::Unsendable;

/// Characters that JSON allows in a text and SQS does not allow in a body. An escape in the text means the same.
const ESCAPED: [(char, &str); 2] = [('\u{FFFE}', "\\ufffe"), ('\u{FFFF}', "\\uffff")];

/// A job with its options: awaiting it sends it.
///
/// The job is written as JSON at once, so that it need not live until the job is sent. All that is wrong with it is the error of the
/// sending.
#[must_use = "a job is sent when it is awaited"]
#[derive(Clone)]
pub struct SendJob {
    routes: Arc<Routes>,
    job_type: &'static str,
    version: u32,
    payload: Result<Box<RawValue>, Refusal>,
    own_key: Option<String>,
    origin: Origin,
    pub(crate) options: Options,
}

impl SendJob {
    pub(crate) fn new<J: Job + Serialize>(routes: Arc<Routes>, job: &J) -> Self {
        let payload = encode(job).and_then(|payload| {
            routes.schemas.check::<J>(&payload)?;
            Ok(payload)
        });
        Self {
            routes,
            job_type: J::TYPE,
            version: J::VERSION,
            payload,
            own_key: job.idempotency_key(),
            origin: Origin::current(),
            options: Options::default(),
        }
    }

    pub(crate) fn job_type(&self) -> &'static str {
        self.job_type
    }

    /// Returns the job's FIFO queue and its message group, if both are known.
    pub(crate) fn fifo_group(&self) -> Option<(TargetQueue, Arc<str>)> {
        let queue = self.routes.queue_of(self.job_type).ok().filter(TargetQueue::is_fifo)?;
        let group = self.options.group(&queue).ok().flatten()?;
        Some((queue, group))
    }

    /// Delays the job: whole seconds, at most 15 minutes. A FIFO queue has no delay of single messages.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.options.delay = Some(delay);
        self
    }

    /// Delays the job by a random time of at most this, after its [`delay`](Self::delay) if it has one, so that jobs that are sent at
    /// once do not all run at once. Delay and spread are at most 15 minutes together.
    pub fn spread(mut self, within: Duration) -> Self {
        self.options.spread = Some(Spread { within, place: Place::Random });
        self
    }

    /// Sets the message group. Jobs of one group in a FIFO queue run one after the other, and each of them needs one. In a standard
    /// queue it is a tenant, whose jobs do not hold up those of others.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.options.group = Some(group.into());
        self
    }

    /// Sets the id by which a FIFO queue drops a second sending within five minutes. The default is the job's own id.
    pub fn dedup(mut self, id: impl Into<String>) -> Self {
        self.options.deduplication_id = Some(id.into());
        self
    }

    /// Sets the key under which the effect of the job happens once, for a type that does not compute it from the payload
    /// ([`Job::idempotency_key`]).
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.options.idempotency_key = Some(key.into());
        self
    }

    /// Sets the id that ties the job to what caused it. The default, inside a handler, is that of the handler's own job.
    pub fn correlation(mut self, id: impl Into<String>) -> Self {
        self.options.correlation_id = Some(id.into());
        self
    }

    /// Sets the trace, as the W3C header `traceparent`. The default is that of the current span, see
    /// [`TraceLayer`](crate::TraceLayer); inside a handler that of its job.
    pub fn traceparent(mut self, header: impl Into<String>) -> Self {
        self.options.traceparent = Some(header.into());
        self
    }

    /// Adds a message attribute: a text, or an [`Attribute`] of another type. A message has ten at most.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Attribute>) -> Self {
        self.options.attributes.push((name.into(), value.into()));
        self
    }

    /// Checks the job and its options, and makes its message, without sending it.
    ///
    /// # Errors
    /// If SQS would refuse the message, or no worker could read it.
    pub fn prepare(self) -> Result<Prepared, ProduceError> {
        let job_type = self.job_type;
        let refused = |(option, reason): Refused| Refusal::new(job_type, option, reason);
        let payload = self.payload.as_ref().map_err(Clone::clone)?;
        let queue = self.routes.queue_of(job_type)?;
        let options = &self.options;
        let delay_secs = options.delay_secs(&queue).map_err(refused)?;
        let group = options.group(&queue).map_err(refused)?;
        let idempotency_key = options.idempotency_key(self.own_key.clone()).map_err(refused)?;
        let correlation_id = options.correlation_id.as_ref().or(self.origin.correlation_id.as_ref());
        let new = NewJob {
            schema_version: self.version,
            idempotency_key: idempotency_key.as_deref(),
            correlation_id: correlation_id.map(String::as_str).filter(|id| !id.is_empty()),
            ..NewJob::new(job_type, payload)
        };
        let deduplication_id = options.deduplication_id(&queue, &new.job_id).map_err(refused)?;
        let body = allowed(new.to_body());
        let mut attributes = self.attributes()?;
        self.inspect(&body, &attributes)?;
        let trace = self.trace(&attributes)?;
        if let Some(trace) = &trace {
            add_trace(&mut attributes, body.len(), trace);
        }
        let outgoing = Outgoing {
            line: 0,
            body,
            attributes: Arc::new(attributes),
            deduplication_id,
            group,
            delay_secs,
            trace_header: trace.map(|trace| trace.to_xray()),
            job_type: job_type.to_owned(),
            job_id: Some(new.job_id.into()),
        };
        Ok(Prepared { queue, outgoing })
    }

    fn attributes(&self) -> Result<Attributes, Refusal> {
        let given = &self.options.attributes;
        for (name, value) in given {
            check_attribute(name, value)
                .map_err(|reason| Refusal::new(self.job_type, format!("attribute {name}"), reason))?;
        }
        attributes(given.iter().cloned()).map_err(|reason| Refusal::new(self.job_type, "attributes", reason))
    }

    /// Refuses what SQS would refuse, what a worker would not take for this job, and what does not belong in a queue.
    fn inspect(&self, body: &str, attributes: &Attributes) -> Result<(), Refusal> {
        let refused = |Unsendable { field, reason }| Refusal::new(self.job_type, field, reason);
        let checks = &self.routes.checks;
        let Options { group, deduplication_id, .. } = &self.options;
        let parameters = [("group", group.as_deref()), ("dedup", deduplication_id.as_deref())];
        let checked = checks.check_parameters(parameters).and_then(|()| checks.check(body, attributes));
        checked.map_err(refused)?.log_warnings();
        Ok(())
    }

    /// Returns the trace: the one that was set, by option or by attribute, else that of the sending code.
    fn trace(&self, attributes: &Attributes) -> Result<Option<Traceparent>, Refusal> {
        if let Some(header) = &self.options.traceparent {
            let reason = || format!("{header:?} is not a W3C traceparent such as 00-TRACE-PARENT-01");
            let trace = Traceparent::parse(header);
            return trace.map(Some).ok_or_else(|| Refusal::new(self.job_type, TRACEPARENT, reason()));
        }
        let own = attributes.get(TRACEPARENT).and_then(Attribute::as_text).and_then(Traceparent::parse);
        Ok(own.or_else(|| self.origin.trace.clone()))
    }
}

impl IntoFuture for SendJob {
    type Output = Result<Receipt, ProduceError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Prepared { queue, outgoing } = self.prepare()?;
            let (_, result) =
                queue.send_batch(vec![outgoing]).await.pop().expect("each message has a result");
            result
        })
    }
}

fn allowed(body: String) -> String {
    ESCAPED
        .iter()
        .fold(body, |body, &(c, escape)| if body.contains(c) { body.replace(c, escape) } else { body })
}

/// Adds the trace as an attribute if there is room. Workers know it by the X-Ray header too, which takes none.
fn add_trace(attributes: &mut Attributes, body_bytes: usize, trace: &Traceparent) {
    if attributes.len() >= MAX_ATTRIBUTES || attributes.contains_key(TRACEPARENT) {
        return;
    }
    attributes.insert(TRACEPARENT.to_owned(), Attribute::text(trace.as_str()));
    if body_bytes + size(attributes) > MAX_MESSAGE_BYTES {
        attributes.remove(TRACEPARENT);
    }
}

#[cfg(test)]
#[path = "send_job_tests.rs"]
mod tests;
