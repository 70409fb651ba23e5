//! One run of one handler, from a message to an ending. The only async code of the crate.

use std::mem;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use serde_json::value::RawValue;
use tracing::{Span, field, info_span};

use crate::api::arrivals::Arriving;
use crate::api::attempt_info::AttemptInfo;
use crate::api::context::{Context, Declared, Inner};
use crate::api::decoded::Decoded;
use crate::api::event::Event;
use crate::api::failure::{Failure, FailureKind};
use crate::api::router::{Invocation, Route, Router};
use crate::api::run_environment::OpenError;
use crate::core::claim::{Claim, JobResult};
use crate::core::ending::Ending;
use crate::core::limits::{JobClass, LimitWait};
use crate::core::reason::{bounded, panic_message};
use crate::core::run_report::RunReport;
use crate::message::envelope::Envelope;
use crate::message::sqs_message::Message;
use crate::message::trace::traceparent;
use crate::run::attempt::Attempt;
use crate::run::claiming::{self, Admitted, Work};
use crate::run::in_attempt::InAttempt;
use crate::run::in_span::InSpan;
use crate::run::next_jobs::send_next;

impl Router {
    /// Makes one attempt: opens its payload, decodes, routes, claims the job's key, runs the handler, and reports its ending. A
    /// panic is an ending, not a crash. An aborted run ends when its handler is dropped and its blocking work has stopped.
    ///
    /// Dropping the returned future is only right when the process ends.
    pub async fn run(&self, mut attempt: Attempt) -> RunReport {
        if let Err(ending) = open(&mut attempt).await {
            let identity = Arc::new(claiming::unread(&attempt.intake, &attempt.message));
            return RunReport { identity: Some(identity), ..RunReport::new(ending, None) };
        }
        match self.resolve(&attempt) {
            Ok(Resolved::Run(route, envelope)) => run(route, attempt, envelope).await,
            Ok(Resolved::BuiltIn(envelope)) => {
                RunReport::new(Ending::Done, Some(Arc::from(envelope.job_type)))
            }
            Err(report) => *report,
        }
    }

    fn resolve(&self, attempt: &Attempt) -> Result<Resolved<'_>, Box<RunReport>> {
        let Attempt { message, intake, .. } = attempt;
        if let Some(route) = self.passthrough_route() {
            return Ok(Resolved::Run(route, intake.decode_or(message, &route.job_type.name).ok()));
        }
        let envelope = intake.decode(message).map_err(|error| {
            Box::new(RunReport {
                identity: Some(Arc::new(claiming::unread(intake, message))),
                ..RunReport::new(Ending::InvalidPayload { reason: bounded(error.0) }, None)
            })
        })?;
        let no_handler = |reason, job_type: Option<Arc<str>>, envelope: &Envelope| {
            let own_type = job_type.clone().unwrap_or_else(|| envelope.job_type.as_str().into());
            let identity = claiming::identity(intake, &own_type, envelope, message);
            let report = RunReport::new(Ending::NoHandler { reason }, job_type);
            let correlation_id = envelope.correlation_id.as_deref().map(Arc::from);
            Box::new(RunReport { identity: Some(Arc::new(identity)), correlation_id, ..report })
        };
        let Some(route) = self.route(&envelope.job_type) else {
            if envelope.is_s3_test {
                return Ok(Resolved::BuiltIn(envelope));
            }
            return Err(no_handler(bounded(self.missing(&envelope.job_type)), None, &envelope));
        };
        if let Some(reason) = route.newer(envelope.version) {
            return Err(no_handler(reason, Some(Arc::clone(&route.job_type.name)), &envelope));
        }
        Ok(Resolved::Run(route, Some(envelope)))
    }
}

enum Resolved<'a> {
    /// The route to run. Without an envelope if the route takes messages undecoded.
    Run(&'a Route, Option<Envelope>),
    /// A built-in job, which only has to be finished.
    BuiltIn(Envelope),
}

/// Replaces a message whose payload is stored elsewhere with the opened one.
async fn open(attempt: &mut Attempt) -> Result<(), Ending> {
    let Attempt { host, control, message, .. } = &*attempt;
    // The call itself is inside, because it may panic before it returns its future.
    let opening = AssertUnwindSafe(async { host.open(message).await }).catch_unwind();
    let opened = match select(pin!(opening), pin!(control.until_cancelled())).await {
        Either::Left((Ok(opened), _)) => opened,
        Either::Left((Err(panic), _)) => {
            return Err(Ending::Panicked { reason: bounded(panic_message(panic.as_ref())) });
        }
        Either::Right(_) => Err(OpenError::Retry("the payload did not come in time".to_owned())),
    };
    match opened {
        Ok(None) => {}
        Ok(Some(opened)) => {
            let opened_at = host.opened(attempt.delivery).await;
            if let Some(at) = opened_at {
                restart(attempt, at);
            }
            if attempt.control.cancelled().is_some() {
                // The handler would be stopped immediately after its start.
                let reason = "the payload came too late".to_owned();
                return Err(Ending::PayloadUnavailable { reason });
            }
            attempt.message = Arc::new(opened);
        }
        Err(OpenError::Permanent(reason)) => return Err(Ending::InvalidPayload { reason: bounded(reason) }),
        Err(OpenError::Retry(reason)) => return Err(Ending::PayloadUnavailable { reason: bounded(reason) }),
    }
    Ok(())
}

/// Restarts the attempt's time at `at`, as the ledger does, so that the time for its payload does not reduce its handler's
/// time.
fn restart(attempt: &mut Attempt, at: Instant) {
    let waited = at.saturating_duration_since(attempt.started_at);
    let deadline = attempt.deadline.checked_add(waited).unwrap_or(attempt.latest_deadline);
    attempt.deadline = deadline.min(attempt.latest_deadline);
    attempt.started_at = at;
}

async fn run(route: &Route, mut attempt: Attempt, envelope: Option<Envelope>) -> RunReport {
    let mut work = Work::new(route, &attempt.message, envelope, &attempt.intake);
    if let Some(timeout) = attempt.host.started(attempt.delivery, &work.job_type).await {
        let deadline = attempt.started_at.checked_add(timeout);
        attempt.deadline = deadline.unwrap_or(attempt.latest_deadline).min(attempt.latest_deadline);
    }
    let decoded = route.decode(work.version, &work.payload);
    let admitted = match decoded {
        Ok(Decoded { job, keys }) => match permit(&mut attempt, &work) {
            Ok(()) => work.admit(keys, &attempt).await.map(|admitted| (admitted, job)),
            Err(limited) => return limited_report(work, limited),
        },
        Err(panic) => Err(Ending::Panicked { reason: bounded(panic_message(panic.as_ref())) }),
    };
    // The ledger returns it with the run's ending.
    let permit = attempt.permit.take();
    let (Admitted { attempt: number, claim, checkpoint, deadline }, job) = match admitted {
        Ok(admitted) => admitted,
        Err(ending) => {
            let (identity, lock, correlation_id) = (Some(work.identity), work.busy_lock, work.correlation_id);
            return RunReport {
                identity,
                correlation_id,
                lock,
                permit,
                ..RunReport::new(ending, Some(work.job_type))
            };
        }
    };
    attempt.deadline = deadline.unwrap_or(attempt.deadline);
    let (control, arrival) = (attempt.control.clone(), attempt.arrival.take());
    let (context, payload) = context(attempt, work, number, claim, checkpoint);
    let told = context.clone();
    let (job_type, span) = (&told.job_type, &told.span);
    told.0.host.observer().observe(&Event::RunStarted { attempt: &told });

    // The call itself is inside, because a layer may panic before it returns its future.
    let invocation = Invocation::new(context, payload, job);
    let handling = AssertUnwindSafe(async { route.call(invocation).await }).catch_unwind();
    let result = {
        let handling = Arriving::new(arrival, InSpan::new(span, handling));
        let handling = pin!(InAttempt::new(told.clone(), handling));
        match select(handling, pin!(control.until_aborted())).await {
            Either::Left((result, _)) => Some(result),
            Either::Right(((), _)) => None,
        }
    };
    let (mut ending, failure) = match result {
        Some(Ok(Ok(()))) => (Ending::Done, None),
        Some(Ok(Err(failure))) => (failed(&failure), Some(failure)),
        Some(Err(panic)) => (Ending::Panicked { reason: bounded(panic_message(panic.as_ref())) }, None),
        None => (Ending::Interrupted, None),
    };
    control.until_no_blocking().await;
    let Declared { result, next } = mem::take(&mut *told.declared());
    let mut with_mark = None;
    if ending == Ending::Done && !next.is_empty() {
        match send_next(&told, &control, next).await {
            Ok(jobs) => with_mark = jobs,
            Err(unsent) => ending = unsent,
        }
    }
    // Recorded only for failures: subscribers that keep a span's fields as text read and write all of them again for it.
    if let Some(class) = ending.class() {
        span.record("ending", class.label());
    }
    let failure = failure.as_ref();
    told.0.host.observer().observe(&Event::RunEnded { attempt: &told, ending: &ending, failure });
    let result = result.filter(|_| ending == Ending::Done);
    RunReport {
        identity: Some(Arc::clone(told.identity())),
        correlation_id: told.correlation_id.clone(),
        attempt: Some(number),
        result: result.map(|result| JobResult(result.into())),
        next: with_mark,
        permit,
        ..RunReport::new(ending, Some(Arc::clone(job_type)))
    }
}

/// Requests the permit to run the job, if its type is limited.
fn permit(attempt: &mut Attempt, work: &Work) -> Result<(), (JobClass, LimitWait)> {
    let waited_for = attempt.permit.take();
    attempt.permit = attempt.host.admit(&work.job_type, &attempt.message, &work.payload, waited_for)?;
    Ok(())
}

/// The report of a run whose job has to wait for its limits.
fn limited_report(work: Work, (class, wait): (JobClass, LimitWait)) -> RunReport {
    // The ledger knows how many jobs wait before it, and thus for how long.
    let ending = wait.ending(&class, Duration::ZERO);
    RunReport {
        identity: Some(work.identity),
        correlation_id: work.correlation_id,
        limited: Some(Box::new((class, wait))),
        ..RunReport::new(ending, Some(work.job_type))
    }
}

fn failed(failure: &Failure) -> Ending {
    let reason = failure.reason().to_owned();
    match failure.kind() {
        FailureKind::Retry => Ending::RetryAsked { after: None, reason },
        FailureKind::RetryAfter(delay) => Ending::RetryAsked { after: Some(delay), reason },
        FailureKind::Reject => Ending::Rejected { reason },
        FailureKind::InvalidPayload => Ending::InvalidPayload { reason },
        FailureKind::OutOfResources => Ending::OutOfResources { reason },
        FailureKind::TargetUnhealthy => Ending::TargetUnhealthy { reason },
        FailureKind::Throttled(after) => Ending::Throttled { after, reason },
    }
}

fn context(
    attempt: Attempt,
    work: Work,
    number: NonZeroU32,
    claim: Option<Arc<Claim>>,
    checkpoint: Option<Box<RawValue>>,
) -> (Context, Box<RawValue>) {
    let Attempt { queue, message, deadline, control, host, .. } = attempt;
    let span = span(&queue, &message, number, &work);
    let info = AttemptInfo {
        queue,
        message,
        attempt: number,
        deadline,
        span,
        job_type: work.job_type,
        version: work.version,
        identity: work.identity,
        attributes: work.attributes,
        correlation_id: work.correlation_id,
        claim,
        traced: OnceLock::new(),
    };
    let inner = Inner { info, control, host, checkpoint, declared: Mutex::default() };
    (Context(Arc::new(inner)), work.payload)
}

fn span(queue: &str, message: &Message, attempt: NonZeroU32, work: &Work) -> Span {
    info_span!(
        "attempt",
        queue,
        "type" = &*work.job_type,
        message_id = &*message.id,
        job_id = &**work.identity.job_id(),
        attempt,
        correlation_id = work.correlation_id.as_deref(),
        trace_link = traceparent(message, &work.attributes),
        ending = field::Empty,
    )
}

#[cfg(test)]
#[path = "invoke_tests.rs"]
mod tests;
