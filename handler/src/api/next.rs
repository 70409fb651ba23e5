//! The jobs that follow on an attempt's success.

use std::time::Duration;

use serde::Serialize;

use crate::api::context::Context;
use crate::api::failure::Failure;
use crate::api::job::Job;
use crate::core::next_job::{MAX_NEXT_JOBS, NextJob, next_job_id, next_job_id_by_key};
use crate::message::objects::from_json;

/// The options of a job that follows on another one. By default none is set.
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
    key: Option<String>,
}

impl NextOptions {
    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Delays the job: whole seconds, at most 15 minutes, and not in a FIFO queue. Workers with the setting `outbox_relay` have
    /// no such limits.
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

    /// Sets the key that distinguishes the job from the others of its type that follow on the same job, for example the number
    /// of an item. Then its id depends on the key, and not on the order in which jobs are declared. The default is
    /// [`Job::idempotency_key`].
    pub fn key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }
}

impl Context {
    /// Declares a job that follows on this one, if this attempt succeeds. If it fails, panics or is stopped, no job follows.
    ///
    /// So a long job can be divided into steps: each has separate attempts, and a done step does not run again. The job has the
    /// correlation id and the trace of this one, and an id that depends only on this job: another attempt at this job, or a
    /// replay of it, declares the same id, and workers with a store run it once. It is sent before this job is marked as done;
    /// with the setting `outbox_relay` and a store in PostgreSQL it is added in the transaction of the mark.
    /// `docs/next-steps.md` has more.
    ///
    /// **Several of one type** need keys, by [`Job::idempotency_key`] or [`NextOptions::key`], unless every attempt declares
    /// them in the same order. Without keys, their ids depend on their places: an attempt with another order gives the id of
    /// one to the payload of another, and a job is lost.
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
    /// If the job cannot be written as JSON or read by its handler, if another one of its type has its key and another payload, or if there are more than
    /// [`MAX_NEXT_JOBS`]: no attempt can succeed.
    pub fn then<J: Job + Serialize>(&self, job: &J) -> Result<(), Failure> {
        self.then_with(job, NextOptions::new())
    }

    /// Like [`then`](Self::then), with options: a delay, a message group, a queue, a key.
    ///
    /// # Errors
    /// The same as those of [`then`](Self::then).
    pub fn then_with<J: Job + Serialize>(&self, job: &J, options: NextOptions) -> Result<(), Failure> {
        let job_type = J::TYPE;
        let payload = serde_json::to_string(job).map_err(|error| {
            Failure::reject(format_args!("the next job {job_type} cannot be written as JSON: {error}"))
        })?;
        from_json::<J>(&payload).map_err(|error| {
            Failure::reject(format_args!("the next job {job_type} could not be read by its handler: {error}"))
        })?;
        let NextOptions { delay, group, queue, key } = options;
        let idempotency_key = job.idempotency_key().filter(|key| !key.is_empty());
        let key = key.filter(|key| !key.is_empty()).or_else(|| idempotency_key.clone());
        let mut declared = self.declared();
        let next = &mut declared.next;
        if next.len() == MAX_NEXT_JOBS {
            return Err(Failure::reject(format_args!(
                "more than {MAX_NEXT_JOBS} jobs follow on this one: send them by a job of its own"
            )));
        }
        let mut others = next.iter().filter(|other| other.job_type == job_type);
        let id = if let Some(key) = &key {
            match others.find(|other| other.key.as_ref() == Some(key)) {
                Some(same) if same.payload == payload => return Ok(()),
                Some(_) => {
                    let reason = format_args!("two next jobs {job_type} have one key and different payloads");
                    return Err(Failure::reject(reason));
                }
                None => next_job_id_by_key(self.identity(), job_type, key),
            }
        } else {
            next_job_id(self.identity(), job_type, others.filter(|other| other.key.is_none()).count())
        };
        next.push(NextJob {
            schema_version: J::VERSION,
            key,
            queue,
            group,
            delay,
            idempotency_key,
            correlation_id: self.correlation_id().to_owned(),
            traceparent: self.traceparent(),
            ..NextJob::new(id, job_type, payload)
        });
        Ok(())
    }
}
