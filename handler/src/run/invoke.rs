//! One run of one handler, from a message to an ending. The only async code of the crate.

use std::mem;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use serde_json::value::RawValue;
use tracing::{Span, field, info_span};

use crate::api::arrivals::{Arrival, Arriving};
use crate::api::attempt_info::AttemptInfo;
use crate::api::context::{Context, Declared, Inner};
use crate::api::decoded::{Decoded, TypedJob};
use crate::api::event::Event;
use crate::api::failure::{Failure, FailureKind};
use crate::api::router::{Invocation, Route, Router};
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
use crate::run::opening::open;

impl Router {
    /// Makes one attempt: opens its payload, decodes, routes, claims the job's key, runs the handler, and reports its ending. A
    /// panic is an ending, not a crash. An aborted run ends when its handler is dropped and its blocking work has stopped.
    ///
    /// Dropping the returned future is only right when the process ends.
    #[allow(
        clippy::manual_async_fn,
        reason = "an async fn has room for its arguments twice, and every run is moved"
    )]
    pub fn run(&self, mut attempt: Attempt) -> impl Future<Output = RunReport> {
        async move {
            let ready = match self.prepare(&mut attempt).await {
                Ok(ready) => ready,
                Err(report) => return *report,
            };
            // The ledger returns it with the run's ending.
            let permit = attempt.permit.take();
            let (route, number, arrival) = (ready.route, ready.admitted.attempt, attempt.arrival.take());
            let (context, invocation) = begin(attempt, ready);
            RunReport { permit, attempt: Some(number), ..call(route, context, invocation, arrival).await }
        }
    }

    /// Does all that comes before the handler. Without a handler to run, returns the report of the run.
    async fn prepare(&self, attempt: &mut Attempt) -> Result<Ready<'_>, Box<RunReport>> {
        if let Err(ending) = open(attempt).await {
            let identity = Arc::new(claiming::unread(&attempt.intake, &attempt.message));
            return Err(Box::new(RunReport { identity: Some(identity), ..RunReport::new(ending, None) }));
        }
        let (route, mut work) = self.resolve(attempt)?;
        if let Some(timeout) = attempt.host.started(attempt.delivery, &work.job_type).await {
            let deadline = attempt.started_at.checked_add(timeout);
            attempt.deadline = deadline.unwrap_or(attempt.latest_deadline).min(attempt.latest_deadline);
        }
        let Decoded { job, keys } = match route.decode(work.version, &work.payload) {
            Ok(decoded) => decoded,
            Err(panic) => {
                let reason = bounded(panic_message(panic.as_ref()));
                return Err(not_run(attempt, work, Ending::Panicked { reason }));
            }
        };
        if let Err(limited) = permit(attempt, &work) {
            return Err(limited_report(work, limited));
        }
        match work.admit(keys, attempt).await {
            Ok(admitted) => Ok(Ready { route, work, job, admitted }),
            Err(ending) => Err(not_run(attempt, work, ending)),
        }
    }

    fn resolve(&self, attempt: &Attempt) -> Result<(&Route, Work), Box<RunReport>> {
        let Attempt { message, intake, .. } = attempt;
        if let Some(route) = self.passthrough_route() {
            let envelope = intake.decode_or(message, &route.job_type.name).ok();
            return Ok((route, Work::new(route, message, envelope, intake)));
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
                // A built-in job, which only has to be finished.
                return Err(Box::new(RunReport::new(Ending::Done, Some(Arc::from(envelope.job_type)))));
            }
            return Err(no_handler(bounded(self.missing(&envelope.job_type)), None, &envelope));
        };
        if let Some(reason) = route.newer(envelope.version) {
            return Err(no_handler(reason, Some(Arc::clone(&route.job_type.name)), &envelope));
        }
        Ok((route, Work::new(route, message, Some(envelope), intake)))
    }
}

/// A job whose handler may run.
struct Ready<'a> {
    route: &'a Route,
    work: Work,
    job: TypedJob,
    admitted: Admitted,
}

/// Makes the context of a run, and announces the run.
fn begin(mut attempt: Attempt, ready: Ready<'_>) -> (Context, Invocation) {
    let Ready { work, job, admitted: Admitted { attempt: number, claim, checkpoint, deadline }, .. } = ready;
    attempt.deadline = deadline.unwrap_or(attempt.deadline);
    let (context, payload) = context(attempt, work, number, claim, checkpoint);
    context.0.host.observer().observe(&Event::RunStarted { attempt: &context });
    (context.clone(), Invocation::new(context, payload, job))
}

/// Runs the handler to its ending.
async fn call(
    route: &Route,
    context: Context,
    invocation: Invocation,
    arrival: Option<Arrival>,
) -> RunReport {
    let (span, control) = (&context.span, &context.0.control);
    // The call itself is inside, because a layer may panic before it returns its future.
    let handling = AssertUnwindSafe(async { route.call(invocation).await }).catch_unwind();
    let result = {
        let handling = Arriving::new(arrival, InSpan::new(span, handling));
        let handling = pin!(InAttempt::new(context.clone(), handling));
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
    let Declared { result, next } = mem::take(&mut *context.declared());
    let mut with_mark = None;
    if ending == Ending::Done && !next.is_empty() {
        match send_next(&context, control, next).await {
            Ok(jobs) => with_mark = jobs,
            Err(unsent) => ending = unsent,
        }
    }
    // Recorded only for failures: subscribers that keep a span's fields as text read and write all of them again for it.
    if let Some(class) = ending.class() {
        span.record("ending", class.label());
    }
    let failure = failure.as_ref();
    context.0.host.observer().observe(&Event::RunEnded { attempt: &context, ending: &ending, failure });
    let result = result.filter(|_| ending == Ending::Done);
    RunReport {
        identity: Some(Arc::clone(context.identity())),
        correlation_id: context.correlation_id.clone(),
        result: result.map(|result| JobResult(result.into())),
        next: with_mark,
        ..RunReport::new(ending, Some(Arc::clone(&context.job_type)))
    }
}

/// The report of a run that ends before its handler.
fn not_run(attempt: &mut Attempt, work: Work, ending: Ending) -> Box<RunReport> {
    Box::new(RunReport {
        identity: Some(work.identity),
        correlation_id: work.correlation_id,
        lock: work.busy_lock,
        permit: attempt.permit.take(),
        ..RunReport::new(ending, Some(work.job_type))
    })
}

/// Requests the permit to run the job, if its type is limited.
fn permit(attempt: &mut Attempt, work: &Work) -> Result<(), (JobClass, LimitWait)> {
    let waited_for = attempt.permit.take();
    attempt.permit = attempt.host.admit(&work.job_type, &attempt.message, &work.payload, waited_for)?;
    Ok(())
}

/// The report of a run whose job has to wait for its limits.
fn limited_report(work: Work, (class, wait): (JobClass, LimitWait)) -> Box<RunReport> {
    // The ledger knows how many jobs wait before it, and thus for how long.
    let ending = wait.ending(&class, Duration::ZERO);
    Box::new(RunReport {
        identity: Some(work.identity),
        correlation_id: work.correlation_id,
        limited: Some(Box::new((class, wait))),
        ..RunReport::new(ending, Some(work.job_type))
    })
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
