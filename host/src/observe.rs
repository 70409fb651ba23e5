//! What the ledger tells, as logs and metrics. Bodies are never logged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use drumline::{
    DrainSummary, Duplicate, DuplicateCause, Ending, Ledger, Message, Note, Outcome, Pause, PauseReason,
    RunFacts, S3_TEST_EVENT_TYPE,
};
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::books::Books;
use crate::books::{attempt_record, millis};
use crate::handlers::since_epoch;
use crate::listener::Listener;
use crate::metrics::QueueMetrics;

/// What is known of a queue's health from one turn of its loop to the next, and from one batch to the next.
#[derive(Debug, Default)]
pub struct QueueStatus {
    healthy: AtomicBool,
    told_of_refusal: AtomicBool,
    busy: watch::Sender<bool>,
    pauses: watch::Sender<Vec<PauseReason>>,
}

impl QueueStatus {
    /// Whether the queue can be reached: what readiness is told from.
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// The reasons for which the queue is not received from now, in order.
    pub fn pauses(&self) -> Vec<PauseReason> {
        self.pauses.borrow().clone()
    }

    /// Whether messages are in hand, from now on. Ends with the status.
    pub fn busy(&self) -> watch::Receiver<bool> {
        self.busy.subscribe()
    }

    /// Sets the reasons for which the queue is not received from.
    pub fn set_pauses(&self, reasons: impl Iterator<Item = PauseReason> + Clone) {
        self.pauses.send_if_modified(|known| {
            let changes = !reasons.clone().eq(known.iter().copied());
            if changes {
                *known = reasons.collect();
            }
            changes
        });
    }

    /// Tells how many messages are in hand.
    pub fn in_hand(&self, count: usize) {
        let busy = count > 0;
        self.busy.send_if_modified(|was| std::mem::replace(was, busy) != busy);
    }
}

/// Logs and counts for one queue.
pub(crate) struct QueueObserver {
    queue: Arc<str>,
    metrics: Arc<dyn QueueMetrics>,
    listener: Arc<dyn Listener>,
    status: Arc<QueueStatus>,
    books: Option<Books>,
}

impl QueueObserver {
    pub(crate) fn new(
        queue: Arc<str>,
        metrics: Arc<dyn QueueMetrics>,
        listener: Arc<dyn Listener>,
        status: Arc<QueueStatus>,
        books: Option<Books>,
    ) -> Self {
        Self { queue, metrics, listener, status, books }
    }

    pub(crate) fn queue(&self) -> &Arc<str> {
        &self.queue
    }

    /// Once a turn of the loop.
    pub(crate) fn state(&self, ledger: &Ledger) {
        self.metrics.in_hand(ledger.in_hand());
        self.status.in_hand(ledger.in_hand());
        if ledger.policy().polling.is_none() {
            return;
        }
        self.status.set_pauses(ledger.pause_reasons());
        let healthy = ledger.healthy();
        if self.status.healthy.swap(healthy, Ordering::Relaxed) != healthy {
            if healthy {
                info!(queue = &*self.queue, "the queue answers");
            } else {
                error!(queue = &*self.queue, "the queue is out of reach: not ready until it answers again");
            }
        }
    }

    pub(crate) fn draining(&self, ledger: &Ledger, grace: Duration) {
        let (in_hand, running, grace_secs) = (ledger.in_hand(), ledger.running(), grace.as_secs_f64());
        info!(queue = &*self.queue, in_hand, running, grace_secs, "draining");
    }

    pub(crate) fn drained(&self, summary: DrainSummary) {
        let DrainSummary { drained, released, abandoned } = summary;
        if abandoned == 0 {
            info!(queue = &*self.queue, drained, released, abandoned, "drained");
        } else {
            warn!(
                queue = &*self.queue,
                drained,
                released,
                abandoned,
                "drained, but abandoned some: they come back when their leases end"
            );
        }
    }

    pub(crate) fn note(&self, note: Note) {
        self.listener.note(&self.queue, &note);
        let queue = &*self.queue;
        match note {
            Note::Decided { message, outcome, run, .. } => self.decided(&message, &outcome, run.as_ref()),
            Note::Settled(message) => debug!(queue, message_id = &*message.id, "settled"),
            Note::Unsettled { message, error } => {
                warn!(
                    queue,
                    message_id = &*message.id,
                    error,
                    "SQS did not confirm the outcome: the message comes back"
                );
            }
            Note::Refused { message, error } => {
                // Every failure of a function without the permission would say it again.
                if !self.status.told_of_refusal.swap(true, Ordering::Relaxed) {
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
            Note::CallFailed { message, error } => {
                warn!(queue, message_id = &*message.id, error, "a call failed, trying again");
            }
            Note::Deduplicated { message, done_at } => {
                let cause = DuplicateCause::Redelivered;
                self.metrics.deduplicated(None, cause);
                info!(
                    queue,
                    message_id = &*message.id,
                    cause = cause.label(),
                    original_message_id = &*message.id,
                    original_queue = queue,
                    original_worker = self.books.as_ref().map(Books::worker),
                    original_finished_at = ago(done_at),
                    "already done: deleted without a run"
                );
            }
            Note::ReceivedAgain(message) => {
                info!(queue, message_id = &*message.id, "received again while in hand");
            }
            Note::Moved(message) => warn!(queue, message_id = &*message.id, "copied to the DLQ"),
            Note::NoDeadLetterQueue(message) => error!(
                queue,
                message_id = &*message.id,
                "a permanent failure has no DLQ to go to, so it stays in the queue and comes back until it expires: \
                 give the queue a redrive policy"
            ),
            Note::Renewed(count) => {
                self.metrics.renewals(count, true);
                debug!(queue, count, "renewed leases");
            }
            Note::RenewalFailed { message, error } => {
                self.metrics.renewals(1, false);
                warn!(queue, message_id = &*message.id, error, "a lease could not be renewed");
            }
            Note::LeaseLost(message) => {
                self.metrics.lease_lost();
                error!(
                    queue,
                    message_id = &*message.id,
                    "lease lost: the message may be somebody else's by now"
                );
            }
            Note::ClaimRenewalFailed { message, error } => {
                warn!(queue, message_id = &*message.id, error, "a claim could not be renewed");
            }
            Note::ClaimLost(message) => error!(
                queue,
                message_id = &*message.id,
                "claim lost: the job may be somebody else's by now, so its handler is stopped"
            ),
            Note::Isolated(message) => warn!(
                queue,
                message_id = &*message.id,
                receive_count = message.receive_count,
                "received several times without a known ending: runs alone, in case it kills the process"
            ),
            Note::Received(0) => {
                self.metrics.empty_receive();
            }
            Note::Received(count) => debug!(queue, count, "received"),
            Note::EmptyAtOnce => self.empty_at_once(),
            Note::ReceiveFailed { error, retry_in } => {
                let retry_in_secs = retry_in.as_secs_f64();
                error!(queue, error, retry_in_secs, "receiving failed");
            }
            Note::Paused(pause) => self.paused(pause),
            Note::Resumed { pause, lasted } => self.resumed(pause, lasted),
            Note::ReceiveOverdue => {
                error!(
                    queue,
                    "a receive does not end, another one takes its place: not ready until it is over"
                );
            }
        }
    }

    fn empty_at_once(&self) {
        warn!(
            queue = &*self.queue,
            "empty receives do not wait: slowed to ten a second; set DRUMLINE_WAIT_TIME above 0, or check that the endpoint \
             supports long polling"
        );
    }

    fn paused(&self, Pause { reason, probe }: Pause) {
        self.metrics.paused(reason, true);
        let queue = &*self.queue;
        warn!(queue, reason = reason.label(), probe = probe.label(), "receiving paused");
    }

    fn resumed(&self, Pause { reason, .. }: Pause, lasted: Duration) {
        self.metrics.paused(reason, false);
        let (queue, paused_secs) = (&*self.queue, lasted.as_secs_f64());
        info!(queue, reason = reason.label(), paused_secs, "pause ended");
    }

    fn decided(&self, message: &Message, outcome: &Outcome, run: Option<&RunFacts>) {
        let job_type = run.and_then(|run| run.job_type.as_deref());
        let known_before = run.is_none_or(|run| matches!(run.ending, Ending::Condemned { .. }));
        // A condemned message that comes back until the redrive policy takes it has been counted when it failed.
        if !known_before || !matches!(outcome, Outcome::DeadLetter(_)) {
            self.metrics.outcome(job_type, outcome.label());
        }
        if let Some(run) = run.filter(|run| run.ending.ran()) {
            self.metrics.ran(job_type, run.took, run.ending.class());
            if let Some(books) = &self.books
                && run.ending != Ending::Done
            {
                let record = attempt_record(books, &self.queue, message, outcome, run);
                if let Some(identity) = &run.identity {
                    books.journal().attempted(Arc::clone(identity), record);
                }
            }
        }
        let queue = &*self.queue;
        let message_id = &*message.id;
        let job_id = run.and_then(|run| run.identity.as_ref()).map(|identity| &**identity.job_id());
        let attempt = run.map(|run| run.attempt);
        let took_secs = run.map(|run| run.took.as_secs_f64());
        let class = run.and_then(|run| run.ending.class());
        let reason = run.and_then(|run| run.ending.reason());
        let ending = run.map(|run| &run.ending);
        if let (Outcome::Ack, Some(Ending::DoneBefore(duplicate))) = (outcome, ending) {
            return self.duplicate(message, run, duplicate);
        }
        match outcome {
            // The only message that is deleted although no handler has run: it names no work.
            Outcome::Ack if job_type == Some(S3_TEST_EVENT_TYPE) => {
                info!(queue, message_id, "S3 test event: deleted");
            }
            Outcome::Ack => debug!(queue, message_id, job_id, "type" = job_type, attempt, took_secs, "done"),
            Outcome::RetryAfter(delay) => {
                let retry_in_secs = delay.as_secs_f64();
                let text = match ending {
                    Some(Ending::Held { .. }) => {
                        info!(
                            queue,
                            message_id,
                            job_id,
                            "type" = job_type,
                            reason,
                            retry_in_secs,
                            "waits its turn"
                        );
                        return;
                    }
                    Some(Ending::Panicked { .. }) => "the handler panicked, trying again later",
                    Some(Ending::StoreUnavailable { .. }) => "not run without a claim, trying again later",
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
            Outcome::Release => info!(queue, message_id, job_id, "type" = job_type, attempt, "given back"),
            Outcome::LeaseLost => {
                warn!(queue, message_id, job_id, "type" = job_type, attempt, took_secs, "left alone");
            }
        }
    }

    /// A message is deleted without a run, since a run of the same identity has succeeded.
    fn duplicate(&self, message: &Message, run: Option<&RunFacts>, Duplicate { cause, prior }: &Duplicate) {
        let job_type = run.and_then(|run| run.job_type.as_deref());
        self.metrics.deduplicated(job_type, *cause);
        info!(
            queue = &*self.queue,
            message_id = &*message.id,
            "type" = job_type,
            job_id = run.and_then(|run| run.identity.as_ref()).map(|identity| &**identity.job_id()),
            cause = cause.label(),
            original_job_id = prior.job_id,
            original_message_id = prior.message_id,
            original_queue = prior.queue,
            original_worker = prior.worker,
            original_finished_at = prior.finished_at_ms.map(rfc3339),
            "already done: deleted without a run"
        );
    }
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
