//! The lines of a job's life. Their fields are a stable format: `docs/job-log.md`.

use std::time::Duration;

use drumline::core::{Duplicate, Ending, FailureClass, Outcome, RunFacts};
use drumline::message::{Message, S3_TEST_EVENT_TYPE};
use drumline::run::{AttemptInfo, Progress};
use serde::Deserialize;
use tracing::{debug, error, info, warn};

use super::job_log::JobLog;
use crate::clock::{millis, rfc3339};
use crate::since_sent::age;

/// The target of the lines.
pub(crate) const TARGET: &str = module_path!();

/// Logs a line of a job's life: its event, the fields that all lines have, and then its own fields.
macro_rules! job_line {
    ($level:ident, $event:literal, $job:expr, { $($fields:tt)* }, $($text:tt)+) => {
        $level!(
            event = $event,
            queue = $job.queue,
            "type" = $job.job_type(),
            job_id = $job.job_id(),
            message_id = &*$job.message.id,
            correlation_id = $job.correlation_id(),
            attempt = $job.attempt(),
            receive_count = $job.message.receive_count,
            dwell_ms = $job.dwell_ms(),
            $($fields)*
            $($text)+
        )
    };
}

/// A job as shown in its lines.
pub(super) struct JobFacts<'a> {
    queue: &'a str,
    message: &'a Message,
    run: Option<&'a RunFacts>,
    /// The facts in the message, if no run has reported them.
    body: Body,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Body {
    #[serde(rename = "type")]
    job_type: Option<String>,
    job_id: Option<String>,
    correlation_id: Option<String>,
}

impl<'a> JobFacts<'a> {
    pub(super) fn of(queue: &'a str, message: &'a Message, run: Option<&'a RunFacts>) -> Self {
        // Rare: a message that was received, and not run.
        let body = if run.is_none() {
            serde_json::from_str(&message.body).unwrap_or_default()
        } else {
            Body::default()
        };
        Self { queue, message, run, body }
    }

    pub(super) fn job_type(&self) -> Option<&str> {
        self.run.and_then(RunFacts::job_type).or(self.body.job_type.as_deref())
    }

    pub(super) fn job_id(&self) -> Option<&str> {
        self.run
            .and_then(|run| run.identity.as_ref())
            .map(|identity| &**identity.job_id())
            .or(self.body.job_id.as_deref())
    }

    pub(super) fn correlation_id(&self) -> Option<&str> {
        let of_run = self.run.and_then(RunFacts::correlation_id);
        of_run.or(self.body.correlation_id.as_deref()).or_else(|| self.job_id())
    }

    /// Returns the attempt's number. A payload that was not read is no attempt, and only the claim knows the earlier ones.
    fn attempt(&self) -> Option<u32> {
        let run = self.run.filter(|run| !matches!(run.ending, Ending::PayloadUnavailable { .. }))?;
        Some(run.attempt.get())
    }

    /// The time since the message was sent.
    fn dwell_ms(&self) -> Option<u64> {
        self.message.sent_at.map(|sent_at| millis(age(sent_at)))
    }

    fn run_ms(&self) -> Option<u64> {
        self.run.map(|run| millis(run.took))
    }

    /// Returns the same time as `run_ms`, with the older name in lines of failures.
    fn took_secs(&self) -> Option<f64> {
        self.run.map(|run| run.took.as_secs_f64())
    }

    fn class(&self) -> Option<&'static str> {
        self.run.and_then(|run| run.ending.class()).map(FailureClass::label)
    }

    fn reason(&self) -> Option<&str> {
        self.run.and_then(|run| run.ending.reason())
    }
}

/// Logs that a handler begins.
pub(super) fn started(job_log: JobLog, attempt: &AttemptInfo) {
    macro_rules! line {
        ($level:ident) => {
            $level!(
                event = "started",
                queue = attempt.queue(),
                "type" = attempt.job_type(),
                job_id = attempt.job_id(),
                message_id = &*attempt.message().id,
                correlation_id = attempt.correlation_id(),
                attempt = attempt.attempt().get(),
                receive_count = attempt.message().receive_count,
                dwell_ms = attempt.message().sent_at.map(|sent_at| millis(age(sent_at))),
                "started"
            )
        };
    }
    if job_log.is_info(attempt.job_id()) { line!(info) } else { line!(debug) }
}

/// Logs the progress of a handler.
pub(super) fn progress(attempt: &AttemptInfo, progress: &Progress) {
    debug!(
        event = "progress",
        queue = attempt.queue(),
        "type" = attempt.job_type(),
        job_id = attempt.job_id(),
        message_id = &*attempt.message().id,
        correlation_id = attempt.correlation_id(),
        attempt = attempt.attempt().get(),
        done = progress.done,
        total = progress.total,
        unit = &*progress.unit,
        "progress"
    );
}

/// Logs the outcome of a message.
pub(super) fn decided(
    job_log: JobLog,
    queue: &str,
    message: &Message,
    outcome: &Outcome,
    run: Option<&RunFacts>,
) {
    let job = JobFacts::of(queue, message, run);
    let known_before = run.is_none_or(|run| matches!(run.ending, Ending::FailedPermanently { .. }));
    match outcome {
        Outcome::Ack => acknowledged(job_log, &job),
        Outcome::RetryAfter(_) | Outcome::Requeue | Outcome::LeaseLost
            if run.is_some_and(|run| run.last_attempt) =>
        {
            job_line!(
                error,
                "dead",
                job,
                {
                    run_ms = job.run_ms(),
                    took_secs = job.took_secs(),
                    class = job.class(),
                    reason = job.reason(),
                    last_attempt = true,
                },
                "last attempt failed: SQS moves the message to the DLQ"
            );
        }
        Outcome::RetryAfter(delay) => retried(&job, *delay),
        Outcome::DeadLetter(reason) if known_before => {
            let (message_id, job_id) = (&*message.id, job.job_id());
            debug!(queue, message_id, job_id, reason, "not run again: it has failed for good");
        }
        Outcome::DeadLetter(reason) => {
            job_line!(
                error,
                "dead",
                job,
                {
                    run_ms = job.run_ms(),
                    took_secs = job.took_secs(),
                    class = job.class(),
                    reason,
                },
                "failed for good"
            );
        }
        Outcome::Requeue => job_line!(info, "released", job, { run_ms = job.run_ms(), }, "given back"),
        Outcome::LeaseLost => {
            job_line!(
                warn,
                "lost",
                job,
                { run_ms = job.run_ms(), took_secs = job.took_secs(), },
                "left alone"
            );
        }
    }
}

fn acknowledged(job_log: JobLog, job: &JobFacts<'_>) {
    if let Some(Ending::DoneBefore(duplicate)) = job.run.map(|run| &run.ending) {
        return log_duplicate(job, duplicate);
    }
    // The only message that is deleted although no handler has run: it contains no job.
    if job.job_type() == Some(S3_TEST_EVENT_TYPE) {
        info!(queue = job.queue, message_id = &*job.message.id, "S3 test event: deleted");
        return;
    }
    if job_log.is_info(job.job_id().unwrap_or_default()) {
        job_line!(info, "done", job, { run_ms = job.run_ms(), }, "done");
    } else {
        job_line!(debug, "done", job, { run_ms = job.run_ms(), }, "done");
    }
}

/// Logs that a message returns to its queue. A failed attempt has its own line before.
fn retried(job: &JobFacts<'_>, delay: Duration) {
    let retry_in_ms = millis(delay);
    let retry_in_secs = delay.as_secs_f64();
    let text = match job.run.map(|run| &run.ending) {
        Some(Ending::Busy { .. }) => {
            return job_line!(
                info,
                "retried",
                job,
                { reason = job.reason(), retry_in_ms, retry_in_secs, },
                "waits its turn"
            );
        }
        Some(Ending::Limited { limit, .. }) => {
            return job_line!(
                debug,
                "retried",
                job,
                { reason = limit.label(), retry_in_ms, hidden_for_secs = retry_in_secs, },
                "returned for a limit"
            );
        }
        // The job's dependency has a general problem, which is logged once and not for each message.
        Some(ending @ (Ending::Throttled { .. } | Ending::TargetUnhealthy { .. })) => {
            let is_throttled = matches!(ending, Ending::Throttled { .. });
            let problem = if is_throttled { "throttled" } else { "target unhealthy" };
            return job_line!(
                debug,
                "retried",
                job,
                { reason = job.reason(), retry_in_ms, retry_in_secs, },
                "{problem}, trying again later"
            );
        }
        Some(Ending::Panicked { .. }) => "the handler panicked, trying again later",
        Some(Ending::OutOfResources { .. }) => "out of resources, trying again later",
        Some(Ending::StoreUnavailable { .. }) => "not run without a claim, trying again later",
        Some(Ending::PayloadUnavailable { .. }) => "payload not read, trying again later",
        _ => "failed, trying again later",
    };
    job_line!(
        warn,
        "failed",
        job,
        {
            run_ms = job.run_ms(),
            took_secs = job.took_secs(),
            class = job.class(),
            reason = job.reason(),
            retry_in_secs,
        },
        "{text}"
    );
    job_line!(info, "retried", job, { retry_in_ms, }, "retried");
}

/// Logs that a message is deleted without a run, because a run with the same identity has succeeded.
fn log_duplicate(job: &JobFacts<'_>, Duplicate { cause, prior }: &Duplicate) {
    job_line!(
        info,
        "duplicate",
        job,
        {
            cause = cause.label(),
            original_job_id = prior.job_id,
            original_message_id = prior.message_id,
            original_queue = prior.queue,
            original_worker = prior.worker,
            original_finished_at = prior.finished_at_ms.map(rfc3339),
        },
        "already done: deleted without a run"
    );
}
