//! A job with its options, before it is sent.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use drumline::Job;
use drumline::message::{Attribute, Traceparent};
use drumline_store::outbox::{Due, OutboxJob};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::attributes::{Attributes, TRACEPARENT, attributes, check_attribute};
use crate::encode::encode;
use crate::error::{ProduceError, Refusal, Refused};
#[cfg(feature = "scheduler")]
use crate::later::time_of;
use crate::later::{Destination, Held, Wait, keep};
use crate::new_job::NewJob;
use crate::options::{Options, Place, Spread};
use crate::origin::Origin;
use crate::pack::Outgoing;
use crate::prepared::Prepared;
use crate::receipt::Receipt;
use crate::routes::{Others, Routes};
use crate::target_queue::TargetQueue;
use crate::unique::Unique;
use crate::unsendable::Unsendable;

/// Characters that JSON allows in a string but SQS does not allow in a body. An escape in the string has the same meaning.
const ESCAPED: [(char, &str); 2] = [('\u{FFFE}', "\\ufffe"), ('\u{FFFF}', "\\uffff")];

/// A job with its options. Awaiting it sends the job.
///
/// The job is encoded as JSON immediately, so it need not live until it is sent. All problems of the job are reported as the
/// error of sending.
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

/// The checked parts of a job's message.
struct Parts {
    job_id: String,
    body: String,
    /// Without the trace.
    attributes: Attributes,
    deduplication_id: String,
    group: Option<Arc<str>>,
    idempotency_key: Option<String>,
    correlation_id: Option<String>,
    trace: Option<Traceparent>,
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
        let group = self.options.group(Some(&queue)).ok().flatten()?;
        Some((queue, group))
    }

    /// Delays the job. SQS itself delays by whole seconds up to 15 minutes, in a standard queue. For all other delays the job
    /// waits in the [outbox](crate::Producer::outbox) of the producer, with an exact delay of any length; without an outbox it
    /// is refused.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.options.delay = Some(delay);
        self
    }

    /// Sends the job at this time, a [`SystemTime`] or a `jiff::Timestamp`; immediately if the time has passed. Until then it
    /// waits in the [outbox](crate::Producer::outbox) of the producer, or with its EventBridge Scheduler; without either it is
    /// refused, even for a time within the next minutes.
    ///
    /// An outbox keeps the time to the millisecond, rounded up, and uses the clock of its server.
    pub fn at(mut self, time: impl Into<SystemTime>) -> Self {
        self.options.at = Some(time.into());
        self
    }

    /// Sends the job unless another job holds its key; then the [`Receipt`] contains that job's id. Such jobs go through the
    /// [outbox](crate::Producer::outbox) of the producer, which stores the keys.
    pub fn unique(mut self, unique: Unique) -> Self {
        self.options.unique = Some(unique);
        self
    }

    /// Delays the job by a random time of at most `within`, in addition to its [`delay`](Self::delay) or the time
    /// [`at`](Self::at) which it is due, so that jobs that are sent together do not all run at once. Without an outbox, delay
    /// and spread together are at most 15 minutes.
    pub fn spread(mut self, within: Duration) -> Self {
        self.options.spread = Some(Spread { within, place: Place::Random });
        self
    }

    /// Sets the message group. Jobs of one group in a FIFO queue run one after the other, and each job needs a group. In a
    /// standard queue the group is a tenant, whose jobs do not block those of others.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.options.group = Some(group.into());
        self
    }

    /// Sets the id by which a FIFO queue drops duplicates within five minutes. The default is the job's own id.
    pub fn dedup(mut self, id: impl Into<String>) -> Self {
        self.options.deduplication_id = Some(id.into());
        self
    }

    /// Sets the idempotency key of the job, for a type that does not derive it from the payload ([`Job::idempotency_key`]).
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.options.idempotency_key = Some(key.into());
        self
    }

    /// Sets the correlation id, which links the job to its cause. Inside a handler, the default is that of the handler's job.
    pub fn correlation(mut self, id: impl Into<String>) -> Self {
        self.options.correlation_id = Some(id.into());
        self
    }

    /// Sets the trace as the W3C header `traceparent`. The default is that of the current span, see
    /// [`TraceLayer`](crate::TraceLayer); inside a handler, that of its job.
    pub fn traceparent(mut self, header: impl Into<String>) -> Self {
        self.options.traceparent = Some(header.into());
        self
    }

    /// Adds a message attribute: a text, or an [`Attribute`] of another type. A message has at most ten attributes.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Attribute>) -> Self {
        self.options.attributes.push((name.into(), value.into()));
        self
    }

    /// Checks the job and its options, and creates its message without sending it.
    ///
    /// # Errors
    ///
    /// Returns an error if SQS would refuse the message, if no worker could read it, or if it must wait and the producer has no
    /// place for that.
    pub fn prepare(self) -> Result<Prepared, ProduceError> {
        let queue = self.routes.queue_of(self.job_type)?;
        let place = self.place(&queue)?;
        let parts = self.parts(Some(&queue), matches!(place, Destination::Outbox(_)))?;
        let row = match &place {
            Destination::Outbox(outbox) => {
                let job = Box::new(self.outbox_job(&parts, Some(&queue))?);
                let held = self.held(&parts, job.due)?.map(Box::new);
                Some(Wait::Outbox { outbox: outbox.clone(), job, held })
            }
            _ => None,
        };
        let mut outgoing = Outgoing {
            line: 0,
            body: parts.body,
            attributes: Arc::new(parts.attributes),
            deduplication_id: parts.deduplication_id,
            group: parts.group,
            delay_secs: if let Destination::Queue { delay_secs } = place { delay_secs } else { None },
            trace_header: None,
            job_type: self.job_type.to_owned(),
            job_id: Some(parts.job_id.into()),
            correlation_id: parts.correlation_id.map(Into::into),
            span: None,
        };
        if row.is_some() {
            // Its row has the trace, and the relay's sending the span.
            outgoing.carry(parts.trace);
        } else {
            outgoing.begin_span(parts.trace);
        }
        let wait = match place {
            #[cfg(feature = "scheduler")]
            Destination::Scheduler { scheduler, due } => {
                let body = scheduler.scheduled(&outgoing, queue.url(), due);
                let body = body.map_err(|why| Refusal::new(self.job_type, why.0, why.1))?;
                Some(Wait::Scheduler { scheduler, body, due })
            }
            _ => row,
        };
        Ok(Prepared { queue, outgoing, wait })
    }

    /// Returns the destination of the job: its queue, or the place where it waits.
    fn place(&self, queue: &TargetQueue) -> Result<Destination, Refusal> {
        let why = match self.options.sqs_delay(queue) {
            Ok(delay_secs) => return Ok(Destination::Queue { delay_secs }),
            Err(why) => why,
        };
        let places = &self.routes.places;
        #[cfg(feature = "scheduler")]
        if let (Some(scheduler), None) = (&places.scheduler, &self.options.unique) {
            let due = time_of(self.options.due().map_err(|why| self.refused(why))?);
            return Ok(match due.filter(|due| *due > SystemTime::now()) {
                Some(due) => Destination::Scheduler { scheduler: scheduler.clone(), due },
                None => Destination::Queue { delay_secs: None },
            });
        }
        places.outbox.clone().map(Destination::Outbox).ok_or_else(|| self.refused(why))
    }

    /// Checks the job and its options, and returns it in the form of an outbox, so that you can add it in your own transaction.
    /// The relay sends it to the producer's queue for its type; if there is none, to the queue in the relay's own settings.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`prepare`](Self::prepare). A unique job is refused: only [`Outbox::add_unique`] can add it.
    ///
    /// [`Outbox::add_unique`]: drumline_store::outbox::Outbox::add_unique
    pub fn to_outbox_job(&self) -> Result<OutboxJob, ProduceError> {
        if self.options.unique.is_some() {
            let reason = "a unique job is not added in a transaction of one's own: await it";
            return Err(self.refused(("unique", reason.to_owned())).into());
        }
        let queue = match self.routes.others {
            Others::Nowhere => self.routes.queue_of(self.job_type).ok(),
            _ => Some(self.routes.queue_of(self.job_type)?),
        };
        let parts = self.parts(queue.as_ref(), true)?;
        Ok(self.outbox_job(&parts, queue.as_ref())?)
    }

    /// Checks all parts of the message, for its queue if that is known.
    fn parts(&self, queue: Option<&TargetQueue>, is_for_outbox: bool) -> Result<Parts, Refusal> {
        let refused = |why| self.refused(why);
        let options = &self.options;
        let payload = self.payload.as_ref().map_err(Clone::clone)?;
        if is_for_outbox && options.deduplication_id.is_some() {
            let reason = "a job that waits in an outbox is sent under its own id, by which a FIFO queue drops a second sending: leave it out";
            return Err(refused(("dedup", reason.to_owned())));
        }
        let group = options.group(queue).map_err(refused)?;
        let idempotency_key = options.idempotency_key(self.own_key.clone()).map_err(refused)?;
        let correlation_id = options.correlation_id.as_ref().or(self.origin.correlation_id.as_ref());
        let correlation_id = correlation_id.filter(|id| !id.is_empty()).cloned();
        let new = NewJob {
            schema_version: self.version,
            idempotency_key: idempotency_key.as_deref(),
            correlation_id: correlation_id.as_deref(),
            ..NewJob::new(self.job_type, payload)
        };
        let body = allowed(new.to_body());
        let job_id = new.job_id;
        let deduplication_id = match queue {
            Some(queue) => options.deduplication_id(queue, &job_id).map_err(refused)?,
            None => job_id.clone(),
        };
        let attributes = self.attributes()?;
        self.inspect(&body, &attributes)?;
        let trace = self.trace(&attributes)?;
        Ok(Parts {
            job_id,
            body,
            attributes,
            deduplication_id,
            group,
            idempotency_key,
            correlation_id,
            trace,
        })
    }

    /// Returns the job in the form of an outbox.
    fn outbox_job(&self, parts: &Parts, queue: Option<&TargetQueue>) -> Result<OutboxJob, Refusal> {
        let payload = self.payload.as_ref().map_err(Clone::clone)?;
        let mut job = OutboxJob::new(&*parts.job_id, self.job_type, allowed(payload.get().to_owned()));
        for (name, attribute) in &parts.attributes {
            let text =
                attribute.as_text().filter(|_| attribute.data_type() == "String").ok_or_else(|| {
                    let reason =
                        format!("an outbox keeps texts, and this is of type {}", attribute.data_type());
                    Refusal::new(self.job_type, format!("attribute {name}"), reason)
                })?;
            job.attributes.insert(name.clone(), text.to_owned());
        }
        job.schema_version = self.version;
        job.queue = queue.map(|queue| queue.url().to_owned());
        job.group = parts.group.as_deref().map(str::to_owned);
        job.idempotency_key.clone_from(&parts.idempotency_key);
        job.correlation_id.clone_from(&parts.correlation_id);
        job.traceparent = parts.trace.as_ref().map(|trace| trace.as_str().to_owned());
        job.due = self.options.due().map_err(|why| self.refused(why))?;
        Ok(job)
    }

    /// Returns the key of a unique job.
    fn held(&self, parts: &Parts, due: Due) -> Result<Option<Held>, Refusal> {
        let Some(unique) = &self.options.unique else { return Ok(None) };
        let payload = self.payload.as_ref().map_err(Clone::clone)?;
        let store = self.routes.places.store.clone();
        let held =
            Held::new(unique, self.job_type, parts.idempotency_key.as_deref(), payload.get(), due, store);
        held.map(Some).map_err(|why| self.refused(why))
    }

    fn refused(&self, (option, reason): Refused) -> Refusal {
        Refusal::new(self.job_type, option, reason)
    }

    fn attributes(&self) -> Result<Attributes, Refusal> {
        let given = &self.options.attributes;
        for (name, value) in given {
            check_attribute(name, value)
                .map_err(|reason| Refusal::new(self.job_type, format!("attribute {name}"), reason))?;
        }
        attributes(given.iter().cloned()).map_err(|reason| Refusal::new(self.job_type, "attributes", reason))
    }

    /// Refuses a body that SQS would refuse, that a worker would not recognize as this job, or that does not belong in a queue.
    fn inspect(&self, body: &str, attributes: &Attributes) -> Result<(), Refusal> {
        let refused = |Unsendable { field, reason }| Refusal::new(self.job_type, field, reason);
        let checks = &self.routes.checks;
        let Options { group, deduplication_id, .. } = &self.options;
        let parameters = [("group", group.as_deref()), ("dedup", deduplication_id.as_deref())];
        let checked = checks.check_parameters(parameters).and_then(|()| checks.check(body, attributes));
        checked.map_err(refused)?.log_warnings();
        Ok(())
    }

    /// Returns the trace: the one that an option or an attribute sets, otherwise that of the sending code.
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
            let job = self.prepare()?;
            if job.wait.is_some() {
                return keep(job).await.1;
            }
            let Prepared { queue, outgoing, .. } = job;
            let (_, result) =
                queue.send_batch(vec![outgoing]).await.pop().expect("each message has a result");
            result
        })
    }
}

pub(crate) fn allowed(body: String) -> String {
    ESCAPED
        .iter()
        .fold(body, |body, &(c, escape)| if body.contains(c) { body.replace(c, escape) } else { body })
}

#[cfg(test)]
#[path = "send_job_tests.rs"]
mod tests;
