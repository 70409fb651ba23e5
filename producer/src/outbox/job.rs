//! A job with its options, as a row of an outbox.

use std::collections::BTreeMap;

use drumline_store::outbox::{Due, OutboxJob};
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::message::message;
use crate::attributes::TRACEPARENT;
use crate::check::Checks;
use crate::error::Refusal;
use crate::options::Options;
use crate::origin::Origin;
use crate::target_queue::TargetQueue;
use crate::unsendable::Unsendable;

/// The parts of a job that is added to an outbox.
pub(crate) struct Parts<'a> {
    pub(crate) id: String,
    pub(crate) job_type: &'a str,
    pub(crate) version: u32,
    pub(crate) payload: &'a RawValue,
    /// The key that the job's own code computes.
    pub(crate) own_key: Option<String>,
    pub(crate) origin: &'a Origin,
    pub(crate) options: &'a Options,
    /// The text that names the queue, if the relay's settings are not to choose it.
    pub(crate) queue: Option<String>,
    /// The queue, if it is known here.
    pub(crate) known_queue: Option<&'a TargetQueue>,
    pub(crate) due: Due,
    pub(crate) checks: &'a Checks,
}

/// Checks a job as its relay will, and returns it. The delay and the spread of the options are the caller's, in `due`.
///
/// # Errors
/// If the relay could not send it, with the field.
pub(crate) fn outbox_job(parts: Parts<'_>) -> Result<OutboxJob, Refusal> {
    let Parts { job_type, options, origin, .. } = parts;
    let refused = |field: &str, reason: String| Refusal::new(job_type, field, reason);
    if options.deduplication_id.is_some() {
        let reason = "a job of an outbox has its own id as its deduplication id: leave it out";
        return Err(refused("dedup", reason.to_owned()));
    }
    let key = options.idempotency_key(parts.own_key).map_err(|(field, reason)| refused(field, reason))?;
    let group = match parts.known_queue {
        Some(queue) => options.group(queue).map_err(|(field, reason)| refused(field, reason))?,
        None => options.group.as_deref().map(Into::into),
    };
    let mut attributes = BTreeMap::new();
    for (name, attribute) in &options.attributes {
        let (true, Some(text)) = (attribute.data_type() == "String", attribute.as_text()) else {
            let reason = "an outbox keeps attributes of the type String: send it in the payload";
            return Err(refused(&format!("attribute {name}"), reason.to_owned()));
        };
        if attributes.insert(name.clone(), text.to_owned()).is_some() {
            return Err(refused("attributes", format!("{name} is given twice")));
        }
    }
    let inherited = origin.trace.as_ref().filter(|_| !attributes.contains_key(TRACEPARENT));
    let inherited = inherited.map(|trace| trace.as_str().to_owned());
    let correlation_id = options.correlation_id.as_ref().or(origin.correlation_id.as_ref()).cloned();
    let mut job = OutboxJob::new(parts.id, job_type, parts.payload.get());
    job.schema_version = parts.version;
    job.queue = parts.queue;
    job.group = group.map(|group| group.to_string());
    job.idempotency_key = key;
    job.correlation_id = correlation_id.filter(|id| !id.is_empty());
    job.traceparent = options.traceparent.clone().or(inherited);
    job.attributes = attributes;
    job.due = parts.due;
    let is_fifo = parts.known_queue.is_some_and(TargetQueue::is_fifo);
    match message(&job, Timestamp::now(), is_fifo, parts.checks) {
        Ok(_) => Ok(job),
        Err(Unsendable { field, reason }) => Err(Refusal::new(job_type, field, reason)),
    }
}
