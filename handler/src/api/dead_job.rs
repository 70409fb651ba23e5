//! The hook that is called for each dead job: a job whose last attempt has failed.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::message::sqs_message::Message;

/// A job whose last attempt has failed: its message moves to the DLQ.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadJob {
    /// The key under which the hook's effect should happen once: the same in each call for this job. A letter that is replayed and dies
    /// again is another message, and has another key.
    pub key: String,
    /// The name of the queue in which it died; that of the DLQ for a letter that was sent to the DLQ itself.
    pub queue: String,
    /// The message as received.
    pub message: Arc<Message>,
    /// The job's type, if it is known.
    pub job_type: Option<String>,
    /// The job's id, else the message's.
    pub job_id: String,
    /// The correlation id that its producer gave it, else the job's id.
    pub correlation_id: String,
    /// The kind of the last failure: the `class` of `drumline_failures_total`.
    pub class: Option<String>,
    /// The last failure as a text, without parts that look like secrets.
    pub reason: String,
    /// The failed attempts that the store knows, the oldest first. The last one may be missing while it is being written.
    pub history: Vec<DeadJobAttempt>,
}

/// A failed attempt of a dead job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadJobAttempt {
    /// Its number, from 1.
    pub attempt: u32,
    /// Its end, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The worker.
    pub worker: String,
    /// The kind of failure.
    pub class: String,
    /// The failure as a text.
    pub reason: String,
    /// The last lines that it logged, the oldest first, if they are kept (`attempt_log`).
    pub log: Vec<String>,
}

impl DeadJob {
    /// Describes the death of a message's job, so far without a history.
    pub fn new(queue: &str, message: Arc<Message>, original_id: &str, reason: impl Into<String>) -> Self {
        Self {
            key: format!("dead:{original_id}"),
            queue: queue.to_owned(),
            job_type: None,
            job_id: original_id.to_owned(),
            correlation_id: original_id.to_owned(),
            class: None,
            reason: reason.into(),
            history: Vec::new(),
            message,
        }
    }
}

impl DeadJobAttempt {
    /// Describes an attempt.
    pub fn new(attempt: u32, at_ms: u64, worker: String, class: String, reason: String) -> Self {
        Self { attempt, at_ms, worker, class, reason, log: Vec::new() }
    }
}

type Called = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// The hook of a [`Router`](crate::Router), for hosts.
#[derive(Clone)]
pub struct DeadJobHook(Arc<dyn Fn(DeadJob) -> Called + Send + Sync>);

impl DeadJobHook {
    /// A hook that calls this function.
    pub fn new<F, Fut, E>(hook: F) -> Self
    where
        F: Fn(DeadJob) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        Self(Arc::new(move |job| {
            let called = hook(job);
            Box::pin(async move { called.await.map_err(|error| error.to_string()) })
        }))
    }

    /// Calls the hook.
    ///
    /// # Errors
    /// The hook's error, as text.
    pub async fn call(&self, job: DeadJob) -> Result<(), String> {
        (self.0)(job).await
    }
}

impl fmt::Debug for DeadJobHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeadJobHook")
    }
}
