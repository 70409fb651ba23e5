//! Creates the message of a job in an outbox. Adding a job and sending it both use this code, so every job that can be added
//! can be sent.

use std::sync::Arc;

use drumline::message::{Attribute, Traceparent};
use drumline_store::outbox::OutboxJob;
use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::attributes::{Attributes, TRACEPARENT};
use crate::check::Checks;
use crate::new_job::NewJob;
use crate::options::Options;
use crate::pack::Outgoing;
use crate::send_job::allowed;
use crate::unsendable::Unsendable;

/// Creates the message of a job with this creation time, and checks it like any other message. Warnings are logged.
///
/// # Errors
///
/// Returns an error if SQS would refuse the message, if no worker could read it, or if the guards refuse its content.
pub(crate) fn message(
    job: &OutboxJob,
    created_at: Timestamp,
    is_fifo: bool,
    checks: &Checks,
) -> Result<Outgoing, Unsendable> {
    let payload: &RawValue = serde_json::from_str(&job.payload)
        .map_err(|error| Unsendable::new("payload", format!("it is not JSON: {error}")))?;
    let key = Options { idempotency_key: job.idempotency_key.clone(), ..Options::default() };
    let key = key.idempotency_key(None).map_err(|(option, reason)| Unsendable::new(option, reason))?;
    let new = NewJob {
        job_id: job.id.clone(),
        job_type: &job.job_type,
        schema_version: job.schema_version,
        idempotency_key: key.as_deref(),
        correlation_id: job.correlation_id.as_deref().filter(|id| !id.is_empty()),
        created_at: created_at.to_string(),
        payload,
    };
    let texts = job.attributes.iter();
    let attributes: Attributes = texts.map(|(name, text)| (name.clone(), Attribute::text(text))).collect();
    let trace = trace(job, &attributes)?;
    let mut outgoing = Outgoing {
        line: 0,
        body: allowed(new.to_body()),
        attributes: Arc::new(attributes),
        deduplication_id: job.id.clone(),
        group: job.group.as_deref().map(Arc::from),
        delay_secs: None,
        trace_header: trace.as_ref().map(Traceparent::to_xray),
        job_type: job.job_type.clone(),
        job_id: Some(job.id.as_str().into()),
        correlation_id: new.correlation_id.map(Arc::from),
        span: None,
    };
    checks.check_message(&outgoing, is_fifo)?.log_warnings();
    outgoing.begin_span(trace);
    Ok(outgoing)
}

/// Returns the trace: the job's own, otherwise that of its attribute.
fn trace(job: &OutboxJob, attributes: &Attributes) -> Result<Option<Traceparent>, Unsendable> {
    let Some(header) = &job.traceparent else {
        return Ok(attributes.get(TRACEPARENT).and_then(Attribute::as_text).and_then(Traceparent::parse));
    };
    match Traceparent::parse(header) {
        Some(trace) => Ok(Some(trace)),
        None => Err(Unsendable::new(
            TRACEPARENT,
            format!("{header:?} is not a W3C traceparent such as 00-TRACE-PARENT-01"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_that_is_not_json_is_refused() {
        let job = OutboxJob::new("1", "work", "{");
        let error = message(&job, Timestamp::UNIX_EPOCH, false, &Checks::default()).err();
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(text.contains("payload: it is not JSON"), "{text}");
    }
}
