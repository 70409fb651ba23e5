//! Logs of a queue, as an observer. Bodies are never logged.

mod claims;
mod job_log;
mod jobs;
mod limited;
mod receiving;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use drumline::core::{DrainSummary, DuplicateCause, Ending, FailureClass, LedgerEvent, RunFacts};
use drumline::message::Message;
use drumline::run::{Event, Observer};
use tracing::{debug, error, info, warn};

use crate::claims::ClaimStoreClient;
use crate::clock::{millis, rfc3339, since_epoch};
pub use job_log::JobLog;
use jobs::JobFacts;
pub(crate) use jobs::TARGET as JOB_LOG;

/// An observer that logs the events of a queue. One for each queue, for the life of the process.
pub struct Logs {
    /// The process's own name, with which lines about its earlier runs are recognised.
    worker: Option<Arc<str>>,
    job_log: JobLog,
    refusal_is_logged: AtomicBool,
}

impl Logs {
    /// Makes the logs of a queue whose jobs are kept in this claim store.
    pub fn new(claim_store: Option<&ClaimStoreClient>) -> Self {
        Self {
            worker: claim_store.map(|claim_store| Arc::clone(claim_store.worker())),
            job_log: JobLog::default(),
            refusal_is_logged: AtomicBool::new(false),
        }
    }

    /// Sets the level of the lines `started` and `done`.
    #[must_use]
    pub fn with_job_log(self, job_log: JobLog) -> Self {
        Self { job_log, ..self }
    }

    fn note(&self, queue: &str, note: &LedgerEvent) {
        match note {
            LedgerEvent::Decided { message, outcome, run, .. } => {
                jobs::decided(self.job_log, queue, message, outcome, run.as_ref());
            }
            LedgerEvent::Settled(message) => debug!(queue, message_id = &*message.id, "settled"),
            LedgerEvent::Unsettled { message, error } => {
                warn!(
                    queue,
                    message_id = &*message.id,
                    error,
                    "SQS did not confirm the outcome: the message comes back"
                );
            }
            LedgerEvent::Refused { message, error } => {
                // Otherwise every failure of a function without the permission would repeat it.
                if !self.refusal_is_logged.swap(true, Ordering::Relaxed) {
                    error!(
                        queue,
                        message_id = &*message.id,
                        error,
                        "visibility may not be changed: what is to be tried again comes back at the queue's visibility \
                         timeout, not after its backoff, until the permission sqs:ChangeMessageVisibility is there; \
                         told once"
                    );
                }
            }
            LedgerEvent::CallFailed { message, error } => {
                warn!(queue, message_id = &*message.id, error, "a call failed, trying again");
            }
            LedgerEvent::Deduplicated { message, done_at } => {
                let cause = DuplicateCause::Redelivered;
                let job = JobFacts::of(queue, message, None);
                info!(
                    event = "duplicate",
                    queue,
                    "type" = job.job_type(),
                    message_id = &*message.id,
                    job_id = job.job_id(),
                    correlation_id = job.correlation_id(),
                    cause = cause.label(),
                    original_message_id = &*message.id,
                    original_queue = queue,
                    original_worker = self.worker.as_deref(),
                    original_finished_at = ago(*done_at),
                    "already done: deleted without a run"
                );
            }
            LedgerEvent::ReceivedAgain(message) => {
                info!(queue, message_id = &*message.id, "received again while in hand");
            }
            LedgerEvent::Moved(message) => warn!(queue, message_id = &*message.id, "copied to the DLQ"),
            LedgerEvent::NoDeadLetterQueue(message) => error!(
                queue,
                message_id = &*message.id,
                "a permanent failure has no DLQ to go to, so it stays in the queue and comes back until it expires: \
                 give the queue a redrive policy"
            ),
            LedgerEvent::Renewed(count) => debug!(queue, count, "renewed leases"),
            LedgerEvent::RenewalFailed { message, error } => {
                warn!(queue, message_id = &*message.id, error, "a lease could not be renewed");
            }
            LedgerEvent::LeaseLost(_)
            | LedgerEvent::ClaimRenewalFailed { .. }
            | LedgerEvent::ClaimLost(_)
            | LedgerEvent::Stalled { .. }
            | LedgerEvent::Isolated(_)
            | LedgerEvent::RunsUnclaimed(_)
            | LedgerEvent::MarkFailed { .. }
            | LedgerEvent::ResultRefused { .. }
            | LedgerEvent::Unmarked { .. }
            | LedgerEvent::ClaimNotReleased(_) => claims::log(queue, note),
            // A problem of the target or of a type is logged once, and not for each message.
            LedgerEvent::KeptInHand { message, run } => kept_in_hand(queue, message, run),
            LedgerEvent::WaitsForLock { message, lock } => {
                info!(queue, message_id = &*message.id, lock = &**lock, "waiting for lock");
            }
            LedgerEvent::WaitsForLimit { .. } | LedgerEvent::HeldForLimit { .. } => limited::log(queue, note),
            LedgerEvent::Received { .. }
            | LedgerEvent::EmptyAtOnce
            | LedgerEvent::ReceiveFailed { .. }
            | LedgerEvent::Paused(_)
            | LedgerEvent::Resumed { .. }
            | LedgerEvent::ReceiveOverdue => receiving::log(queue, note),
            // A test checks that every note has its own text.
            note => debug!(queue, ?note, "note without a text"),
        }
    }
}

/// Logs a message that stays in hand after a run that was no attempt.
fn kept_in_hand(queue: &str, message: &Message, run: &RunFacts) {
    let (job_type, reason) = (run.job_type.as_deref(), run.ending.reason());
    let id = &*message.id;
    match run.ending {
        Ending::TargetUnhealthy { .. } => {
            debug!(queue, message_id = id, "type" = job_type, reason, "target unhealthy: kept in hand");
        }
        Ending::Throttled { .. } => {
            debug!(queue, message_id = id, "type" = job_type, reason, "throttled: kept in hand");
        }
        _ => warn!(
            queue,
            message_id = id,
            "type" = job_type,
            class = run.ending.class().map(FailureClass::label),
            reason,
            "out of resources: kept in hand"
        ),
    }
}

impl Observer for Logs {
    fn observe(&self, event: &Event<'_>) {
        match *event {
            Event::RunStarted { attempt } => jobs::started(self.job_log, attempt),
            Event::Progress { attempt, progress } => jobs::progress(attempt, progress),
            Event::Ledger { queue, note } => self.note(queue, note),
            Event::Reachability { queue, reachable: true } => info!(queue, "the queue answers"),
            Event::Reachability { queue, reachable: false } => {
                error!(queue, "the queue is out of reach: not ready until it answers again");
            }
            Event::Draining { queue, in_hand, running, grace } => {
                info!(queue, in_hand, running, grace_secs = grace.as_secs_f64(), "draining");
            }
            Event::Drained { queue, summary } => drained(queue, summary),
            _ => {}
        }
    }
}

fn drained(queue: &str, summary: DrainSummary) {
    let DrainSummary { drained, released, abandoned } = summary;
    if abandoned == 0 {
        info!(queue, drained, released, abandoned, "drained");
    } else {
        warn!(
            queue,
            drained, released, abandoned, "drained, but abandoned some: they come back when their leases end"
        );
    }
}

/// Returns a time of the wall clock.
fn ago(at: Instant) -> String {
    let age = tokio::time::Instant::now().into_std().saturating_duration_since(at);
    rfc3339(millis(since_epoch().saturating_sub(age)))
}

#[cfg(test)]
#[path = "logs_tests.rs"]
mod tests;
