//! Logs of a queue, as an observer. Bodies are never logged.

mod claims;
mod limited;
mod receiving;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use drumline::core::{
    DrainSummary, Duplicate, DuplicateCause, Ending, FailureClass, LedgerEvent, Outcome, RunFacts,
};
use drumline::message::{Message, S3_TEST_EVENT_TYPE};
use drumline::run::{Event, Observer};
use tracing::{debug, error, info, warn};

use crate::claims::ClaimStoreClient;
use crate::clock::{millis, since_epoch};

/// An observer that logs what happens in a queue. One for each queue, which lasts as long as the process.
pub struct Logs {
    /// The process's own name, which the lines about its earlier runs show.
    worker: Option<Arc<str>>,
    refusal_is_logged: AtomicBool,
}

impl Logs {
    /// Logs of a queue whose jobs are kept in this claim store.
    pub fn new(claim_store: Option<&ClaimStoreClient>) -> Self {
        Self {
            worker: claim_store.map(|claim_store| Arc::clone(claim_store.worker())),
            refusal_is_logged: AtomicBool::new(false),
        }
    }

    fn note(&self, queue: &str, note: &LedgerEvent) {
        match note {
            LedgerEvent::Decided { message, outcome, run, .. } => {
                decided(queue, message, outcome, run.as_ref());
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
                // Every failure of a function without the permission would say it again.
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
                info!(
                    queue,
                    message_id = &*message.id,
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
            // The target's trouble, or that of a type, is logged once, and not for each message.
            LedgerEvent::KeptInHand { message, run }
                if matches!(run.ending, Ending::TargetUnhealthy { .. } | Ending::Throttled { .. }) =>
            {
                let is_throttled = matches!(run.ending, Ending::Throttled { .. });
                let (job_type, reason) = (run.job_type.as_deref(), run.ending.reason());
                debug!(
                    queue,
                    message_id = &*message.id,
                    "type" = job_type,
                    reason,
                    "{}: kept in hand",
                    if is_throttled { "throttled" } else { "target unhealthy" }
                );
            }
            LedgerEvent::KeptInHand { message, run } => warn!(
                queue,
                message_id = &*message.id,
                "type" = run.job_type.as_deref(),
                class = run.ending.class().map(FailureClass::label),
                reason = run.ending.reason(),
                "out of resources: kept in hand"
            ),
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
            // A test has every note logged under a text of its own.
            note => debug!(queue, ?note, "note without a text"),
        }
    }
}

impl Observer for Logs {
    fn observe(&self, event: &Event<'_>) {
        match *event {
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

fn decided(queue: &str, message: &Message, outcome: &Outcome, run: Option<&RunFacts>) {
    let job_type = run.and_then(RunFacts::job_type);
    let known_before = run.is_none_or(|run| matches!(run.ending, Ending::FailedPermanently { .. }));
    let message_id = &*message.id;
    let job_id = run.and_then(job_id_of);
    let took_secs = run.map(|run| run.took.as_secs_f64());
    let class = run.and_then(|run| run.ending.class()).map(FailureClass::label);
    let reason = run.and_then(|run| run.ending.reason());
    let (ending, attempt) = (run.map(|run| &run.ending), run.and_then(attempt_of));
    if let (Outcome::Ack, Some(Ending::DoneBefore(duplicate))) = (outcome, ending) {
        return log_duplicate(queue, message, run, duplicate);
    }
    match outcome {
        // The only message that is deleted although no handler has run: it names no work.
        Outcome::Ack if job_type == Some(S3_TEST_EVENT_TYPE) => {
            info!(queue, message_id, "S3 test event: deleted");
        }
        Outcome::Ack => debug!(queue, message_id, job_id, "type" = job_type, attempt, took_secs, "done"),
        Outcome::RetryAfter(_) | Outcome::Requeue | Outcome::LeaseLost
            if run.is_some_and(|run| run.last_attempt) =>
        {
            error!(
                queue,
                message_id,
                job_id,
                "type" = job_type,
                attempt,
                took_secs,
                class,
                reason,
                receive_count = message.receive_count,
                last_attempt = true,
                "last attempt failed: SQS moves the message to the DLQ"
            );
        }
        Outcome::RetryAfter(delay) => {
            let retry_in_secs = delay.as_secs_f64();
            let text = match ending {
                Some(Ending::Busy { .. }) => {
                    return info!(
                        queue,
                        message_id,
                        job_id,
                        "type" = job_type,
                        reason,
                        retry_in_secs,
                        "waits its turn"
                    );
                }
                Some(Ending::Limited { .. }) => {
                    return limited::log_returned(queue, message, run, retry_in_secs);
                }
                Some(Ending::Throttled { .. } | Ending::TargetUnhealthy { .. }) => {
                    return log_put_off(queue, message, run, retry_in_secs);
                }
                Some(Ending::Panicked { .. }) => "the handler panicked, trying again later",
                Some(Ending::OutOfResources { .. }) => "out of resources, trying again later",
                Some(Ending::StoreUnavailable { .. }) => "not run without a claim, trying again later",
                Some(Ending::PayloadUnavailable { .. }) => {
                    return log_unread(queue, message, run, retry_in_secs);
                }
                _ => "failed, trying again later",
            };
            warn!(
                queue,
                message_id,
                job_id,
                "type" = job_type,
                attempt,
                took_secs,
                class,
                reason,
                retry_in_secs,
                "{text}"
            );
        }
        Outcome::DeadLetter(why) if known_before => {
            debug!(queue, message_id, job_id, reason = why, "not run again: it has failed for good");
        }
        Outcome::DeadLetter(why) => {
            error!(
                queue,
                message_id,
                job_id,
                "type" = job_type,
                attempt,
                took_secs,
                class,
                reason = why,
                "failed for good"
            );
        }
        Outcome::Requeue => info!(queue, message_id, job_id, "type" = job_type, attempt, "given back"),
        Outcome::LeaseLost => {
            warn!(queue, message_id, job_id, "type" = job_type, attempt, took_secs, "left alone");
        }
    }
}

/// The id of the run's job, if it is known.
fn job_id_of(run: &RunFacts) -> Option<&str> {
    run.identity.as_ref().map(|identity| &**identity.job_id())
}

/// A payload that was not read is no attempt: none is counted, and nothing but a claim knows how many have been.
fn attempt_of(run: &RunFacts) -> Option<NonZeroU32> {
    (!matches!(run.ending, Ending::PayloadUnavailable { .. })).then_some(run.attempt)
}

/// What the job needs is in trouble as a whole, which is logged once and not for each message.
fn log_put_off(queue: &str, message: &Message, run: Option<&RunFacts>, retry_in_secs: f64) {
    let is_throttled = run.is_some_and(|run| matches!(run.ending, Ending::Throttled { .. }));
    let what = if is_throttled { "throttled" } else { "target unhealthy" };
    debug!(
        queue,
        message_id = &*message.id,
        job_id = run.and_then(job_id_of),
        "type" = run.and_then(RunFacts::job_type),
        reason = run.and_then(|run| run.ending.reason()),
        retry_in_secs,
        "{what}, trying again later"
    );
}

/// A payload could not be read, and is tried again later.
fn log_unread(queue: &str, message: &Message, run: Option<&RunFacts>, retry_in_secs: f64) {
    warn!(
        queue,
        message_id = &*message.id,
        job_id = run.and_then(job_id_of),
        "type" = run.and_then(RunFacts::job_type),
        took_secs = run.map(|run| run.took.as_secs_f64()),
        class = run.and_then(|run| run.ending.class()).map(FailureClass::label),
        reason = run.and_then(|run| run.ending.reason()),
        receive_count = message.receive_count,
        retry_in_secs,
        "payload not read, trying again later"
    );
}

/// A message is deleted without a run, since a run of the same identity has succeeded.
fn log_duplicate(
    queue: &str,
    message: &Message,
    run: Option<&RunFacts>,
    Duplicate { cause, prior }: &Duplicate,
) {
    info!(
        queue,
        message_id = &*message.id,
        "type" = run.and_then(RunFacts::job_type),
        job_id = run.and_then(job_id_of),
        cause = cause.label(),
        original_job_id = prior.job_id,
        original_message_id = prior.message_id,
        original_queue = prior.queue,
        original_worker = prior.worker,
        original_finished_at = prior.finished_at_ms.map(rfc3339),
        "already done: deleted without a run"
    );
}

/// When something was, by the wall clock.
fn ago(at: Instant) -> String {
    let age = tokio::time::Instant::now().into_std().saturating_duration_since(at);
    rfc3339(millis(since_epoch().saturating_sub(age)))
}

/// A time in milliseconds since the Unix epoch, as people read it.
fn rfc3339(epoch_ms: u64) -> String {
    let time = jiff::Timestamp::from_millisecond(i64::try_from(epoch_ms).unwrap_or(i64::MAX));
    time.map_or_else(|_| epoch_ms.to_string(), |time| format!("{time:.3}"))
}

#[cfg(test)]
#[path = "logs_tests.rs"]
mod tests;
