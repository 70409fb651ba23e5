//! One run in a test, from a received message to its outcome.

use std::future::{Future, poll_fn};
use std::num::NonZeroU32;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use serde_json::value::RawValue;

use super::bench::Bench;
use super::test_host::{Recorded, TestHost};
use super::test_run::TestRun;
use super::trouble::{ClaimTrouble, Missed, Signal, Stop};
use crate::api::arrivals::Arrival;
use crate::core::control::{RunControl, STOP_TIME};
use crate::core::decide::{DecisionInput, RunDecision, decide_run};
use crate::core::ending::Ending;
use crate::core::ids::DeliveryId;
use crate::core::outcome::Outcome;
use crate::core::outcome_cache::PriorOutcome;
use crate::core::retry::MAX_VISIBILITY;
use crate::core::run_report::RunReport;
use crate::message::sqs_message::Message;
use crate::run::attempt::Attempt;

/// A message as it was received, and the faults of its run.
pub(super) struct Received {
    pub(super) queue: Arc<str>,
    pub(super) message: Message,
    pub(super) stop: Option<Stop>,
    pub(super) claim_trouble: Option<ClaimTrouble>,
    /// The checkpoint to resume from, in place of the stored one.
    pub(super) checkpoint: Option<Box<RawValue>>,
    pub(super) signal: Option<Signal>,
    /// The announcement of the run to the batch of a batch handler.
    pub(super) arrival: Option<Arrival>,
}

/// Runs a message once, and settles it.
pub(super) async fn run_one(bench: Bench, delivery: Received) -> TestRun {
    let Received { queue, message, stop, claim_trouble, checkpoint, mut signal, arrival } = delivery;
    let policy = bench.settings.policy_for(&bench.router);
    let message = Arc::new(message);
    let receives = NonZeroU32::new(message.receive_count).unwrap_or(NonZeroU32::MIN);
    let control = RunControl::new();
    let host = Arc::new(TestHost {
        bench: bench.clone(),
        policy: policy.clone(),
        control: control.clone(),
        stop,
        claim_trouble,
        given_checkpoint: checkpoint,
        recorded: Mutex::default(),
    });
    let started_at = host.now();
    let attempt = Attempt {
        delivery: DeliveryId::default(),
        intake: Arc::new(bench.settings.intake_of(&queue)),
        queue,
        message: Arc::clone(&message),
        number: receives,
        started_at,
        deadline: started_at + policy.handler_timeout.min(MAX_VISIBILITY),
        latest_deadline: started_at + MAX_VISIBILITY,
        claim_length: policy.lease,
        permit: None,
        arrival,
        control: control.clone(),
        host: Arc::clone(&host) as _,
    };
    let report = until_ended(bench.router.run(attempt), &host, &mut signal).await;
    let RunReport { ending: reported, job_type, identity, attempt, result, next, .. } = report;
    let is_dropped = reported == Ending::Interrupted;
    let handler_ending = reported.clone();
    let facts = DecisionInput {
        attempt: attempt.unwrap_or(receives),
        receives,
        job_type: job_type.as_deref(),
        longest_delay: MAX_VISIBILITY,
    };
    let stopped = control.cancelled();
    let decision = decide_run(&policy, &facts, stopped, reported, started_at, bench.settings.jitter());
    let RunDecision { ending, outcome, prior, release_claim, last_attempt } = decision;
    let Recorded { started, request, claim, progress, checkpoint, waits } =
        std::mem::take(&mut *host.recorded());
    let mut memory = bench.memory();
    if let Some(claim) = claim {
        if matches!(prior, PriorOutcome::Done { .. }) {
            memory.claims.finish(&claim, result.as_ref().map(|result| &*result.0));
        } else {
            memory.claims.release(&claim, release_claim);
        }
    }
    if last_attempt || matches!(outcome, Outcome::Ack | Outcome::DeadLetter(_)) {
        memory.remove(&message.id);
    }
    drop(memory);
    let attempt = facts.attempt;
    let missed = stop.map(|stop| Missed::Moment(stop.at)).or(signal.map(|_| Missed::Signal));
    TestRun {
        result: result.map(|result| result.0),
        next: next.map(|next| next.0.as_ref().clone()).unwrap_or_default(),
        ran: started,
        cancelled: stopped,
        missed: missed.filter(|_| stopped.is_none()),
        dropped: is_dropped,
        last_attempt,
        ending,
        handler_ending,
        outcome,
        attempt,
        job_type,
        identity,
        message,
        request,
        progress,
        checkpoint,
        waits,
    }
}

/// The state of a stop of a run.
enum Stopping {
    No,
    /// The handler has been polled since it was asked to stop.
    Asked,
    /// The time that it has to return.
    Patience(Pin<Box<dyn Future<Output = ()> + Send>>),
    Aborted,
}

/// Polls a run to its end. A handler that continues after it was stopped is dropped, as by a ledger: after a second of the
/// runtime's clock, or without a clock at its first wait.
async fn until_ended(
    run: impl Future<Output = RunReport>,
    host: &TestHost,
    signal: &mut Option<Signal>,
) -> RunReport {
    let mut run = pin!(run);
    let mut stopping = Stopping::No;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(report) = run.as_mut().poll(cx) {
                return Poll::Ready(report);
            }
            if let Some(Signal { reason, ready }) = signal
                && ready.as_mut().poll(cx).is_ready()
            {
                host.control.cancel(*reason);
                *signal = None;
            }
            ready!(stopping.advance(host, cx));
        }
    })
    .await
}

impl Stopping {
    /// Makes progress on the run's waits. Ready if the run must be polled again.
    fn advance(&mut self, host: &TestHost, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self, Self::No) {
            host.handler_waits();
            if host.control.cancelled().is_none() {
                return Poll::Pending;
            }
            *self = Self::Asked;
            return Poll::Ready(());
        }
        if matches!(self, Self::Asked) {
            *self = Self::Patience(match host.bench.runtime {
                Some(runtime) => (runtime.sleep)(STOP_TIME),
                None => Box::pin(std::future::ready(())),
            });
        }
        let Self::Patience(patience) = self else { return Poll::Pending };
        ready!(patience.as_mut().poll(cx));
        host.control.abort();
        *self = Self::Aborted;
        Poll::Ready(())
    }
}
