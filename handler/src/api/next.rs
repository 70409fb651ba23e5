//! The jobs that follow on an attempt's success.

use std::time::Duration;

use serde::Serialize;

use crate::api::context::Context;
use crate::api::failure::Failure;
use crate::api::job::Job;
use crate::core::next_job::{MAX_NEXT_JOBS, NextJob, next_job_id};
use crate::message::objects::from_json;

/// The options of a job that follows on another one. The default has none.
///
/// ```
/// use std::time::Duration;
/// use drumline::NextOptions;
///
/// let options = NextOptions::new().delay(Duration::from_secs(60)).queue("mail");
/// # let _ = options;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "options do nothing unless they are given to `Context::then_with`"]
pub struct NextOptions {
    delay: Duration,
    group: Option<String>,
    queue: Option<String>,
}

impl NextOptions {
    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Delays the job: whole seconds, at most 15 minutes; an outbox in PostgreSQL has no such limits. Messages of a FIFO queue have no
    /// delay of their own.
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Sets the message group. The default is that of the job that it follows.
    pub fn group(self, group: impl Into<String>) -> Self {
        Self { group: Some(group.into()), ..self }
    }

    /// Sets the queue, by its URL, ARN or name. The default is that of the job's type (`[queue_by_type]` in the settings), else the queue
    /// of the job that it follows.
    pub fn queue(self, queue: impl Into<String>) -> Self {
        Self { queue: Some(queue.into()), ..self }
    }
}

impl Context {
    /// Declares a job that follows on this one, if this attempt succeeds. If it fails, panics or is stopped, no job follows.
    ///
    /// A long job is cut into steps so: each has attempts of its own, and one that is done does not run again. The job has the
    /// correlation id and the trace of this one, and an id that depends on this job alone: another attempt at this job, or a
    /// replay of it, declares the same one, and workers with a store run it once. With a store in PostgreSQL it is
    /// added in the transaction that marks this job as done; with others it is sent before. `docs/next-steps.md` has more.
    ///
    /// ```
    /// use drumline::{Context, Failure, Job, Router};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct PlaceOrder { order: u64 }
    ///
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct SendInvoice { order: u64 }
    /// # impl Job for PlaceOrder { const TYPE: &'static str = "order.place"; }
    /// # impl Job for SendInvoice { const TYPE: &'static str = "invoice.send"; }
    ///
    /// async fn place(ctx: Context, job: PlaceOrder) -> Result<(), Failure> {
    ///     // Reserve the goods, then:
    ///     ctx.then(&SendInvoice { order: job.order })
    /// }
    /// # let _ = Router::new().handle(place);
    /// ```
    ///
    /// # Errors
    /// If the job cannot be written as JSON or read by its handler, or if there are more than [`MAX_NEXT_JOBS`]: no attempt can
    /// succeed.
    pub fn then<J: Job + Serialize>(&self, job: &J) -> Result<(), Failure> {
        self.then_with(job, NextOptions::new())
    }

    /// As [`then`](Self::then), with options: a delay, a message group, a queue.
    ///
    /// # Errors
    /// As those of [`then`](Self::then).
    pub fn then_with<J: Job + Serialize>(&self, job: &J, options: NextOptions) -> Result<(), Failure> {
        let job_type = J::TYPE;
        let payload = serde_json::to_string(job).map_err(|error| {
            Failure::reject(format_args!("the next job {job_type} cannot be written as JSON: {error}"))
        })?;
        from_json::<J>(&payload).map_err(|error| {
            Failure::reject(format_args!("the next job {job_type} could not be read by its handler: {error}"))
        })?;
        let NextOptions { delay, group, queue } = options;
        let mut declared = self.declared();
        let next = &mut declared.next;
        if next.len() == MAX_NEXT_JOBS {
            return Err(Failure::reject(format_args!(
                "more than {MAX_NEXT_JOBS} jobs follow on this one: send them by a job of its own"
            )));
        }
        let index = next.iter().filter(|other| other.job_type == job_type).count();
        next.push(NextJob {
            schema_version: J::VERSION,
            queue,
            group,
            delay,
            idempotency_key: job.idempotency_key().filter(|key| !key.is_empty()),
            correlation_id: self.correlation_id().to_owned(),
            traceparent: self.traceparent(),
            ..NextJob::new(next_job_id(self.identity(), job_type, index), job_type, payload)
        });
        Ok(())
    }
}
