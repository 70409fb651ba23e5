//! Checks a schedule's job before any firing.

use std::sync::Arc;

use drumline::message::Attribute;
use drumline_producer::{Attributes, Checks, NewJob, Outgoing, Unsendable};
use drumline_store::outbox::OutboxJob;
use serde_json::value::RawValue;

/// The suffix of a FIFO queue's name.
const FIFO: &str = ".fifo";

/// Makes the checks that are made before a job is sent, as far as the job's queue is known.
pub(crate) fn check_job(job: &OutboxJob, checks: &Checks) -> Result<(), Unsendable> {
    let payload: Box<RawValue> = serde_json::from_str(&job.payload).expect("a payload consists of JSON");
    let new = NewJob {
        job_id: job.id.clone(),
        schema_version: job.schema_version,
        correlation_id: job.correlation_id.as_deref(),
        ..NewJob::new(&job.job_type, &payload)
    };
    let attributes: Attributes =
        job.attributes.iter().map(|(name, text)| (name.clone(), Attribute::text(text.as_str()))).collect();
    let message = Outgoing {
        body: new.to_body(),
        attributes: Arc::new(attributes),
        deduplication_id: job.id.clone(),
        group: job.group.as_deref().map(Arc::from),
        ..Outgoing::default()
    };
    let is_fifo = job.queue.as_ref().is_some_and(|queue| queue.ends_with(FIFO));
    checks.check_message(&message, is_fifo)?.log_warnings();
    Ok(())
}
