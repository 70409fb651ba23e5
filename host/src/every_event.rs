//! One of every event, for tests of observers. The unit tests of each crate that has observers include this file.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use drumline::core::{
    Claim, DeliveryId, DrainSummary, Duplicate, DuplicateCause, Ending, JobClass, LedgerEvent, LimitReason,
    Outcome, Pause, PauseReason, PriorRun, Probe, RunControl, RunFacts, SqsAction, SqsErrorKind, SqsResult,
    StoreOperation, StoreResult, Takeover,
};
use drumline::message::{Identity, Intake, Message};
use drumline::run::{Attempt, Event, Observer, RunEnvironment};
use drumline::{Context, Failure, Router};

/// The queue of all events.
pub(crate) const QUEUE: &str = "jobs";

/// The type of the jobs.
pub(crate) const TYPE: &str = "a.b";

const SECOND: Duration = Duration::from_secs(1);

/// Passes one of every event to `observer`, with every label that there is.
pub(crate) fn emit_every_event(observer: &Arc<dyn Observer>) {
    let kinds = Arc::new(Kinds { seen: Mutex::default(), observer: Arc::clone(observer) });
    emit_each(&(Arc::clone(&kinds) as Arc<dyn Observer>));
    let (events, notes) = &*kinds.seen.lock().unwrap();
    assert!(events.iter().copied().eq(0..Event::KINDS), "an event is missing: {events:?}");
    assert!(notes.iter().copied().eq(0..LedgerEvent::KINDS), "a note is missing: {notes:?}");
}

fn emit_each(observer: &Arc<dyn Observer>) {
    emit_a_run(observer, Ok(()));
    emit_a_run(observer, Err(Failure::retry("later")));
    for note in notes() {
        emit_note(observer, &note);
    }
    observer.observe(&Event::InHand { queue: QUEUE, count: 3 });
    for reachable in [true, false] {
        observer.observe(&Event::Reachability { queue: QUEUE, reachable });
    }
    observer.observe(&Event::Draining { queue: QUEUE, in_hand: 3, running: 2, grace: SECOND });
    for abandoned in [0, 1] {
        let summary = DrainSummary { drained: 1, released: 1, abandoned };
        observer.observe(&Event::Drained { queue: QUEUE, summary });
    }
    for succeeded in [true, false] {
        observer.observe(&Event::DeadJobHook { queue: QUEUE, message_id: &"m-1".into(), succeeded });
    }
    for action in SqsAction::ALL {
        let failures = SqsErrorKind::ALL.map(SqsResult::Failed);
        for result in failures.into_iter().chain([SqsResult::Ok]) {
            observer.observe(&Event::SqsRequest { action, result });
        }
    }
    for operation in StoreOperation::ALL {
        for result in StoreResult::ALL {
            observer.observe(&Event::StoreRequest { operation, result });
        }
    }
    observer.observe(&Event::SqsClientReplaced);
}

/// Passes the decision of a run to `observer`.
pub(crate) fn emit_decided(observer: &Arc<dyn Observer>, job_type: &str, outcome: Outcome, ending: Ending) {
    emit_note(observer, &decided(DeliveryId::default(), job_type, outcome, Some(ending)));
}

/// Passes a note of the queue's ledger to `observer`.
pub(crate) fn emit_note(observer: &Arc<dyn Observer>, note: &LedgerEvent) {
    observer.observe(&Event::Ledger { queue: QUEUE, note });
}

struct Observed(Arc<dyn Observer>);

impl RunEnvironment for Observed {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }

    fn observer(&self) -> &dyn Observer {
        &*self.0
    }
}

/// Runs a job that reports progress and ends like this: its start, its progress and its end are events.
pub(crate) fn emit_a_run(observer: &Arc<dyn Observer>, result: Result<(), Failure>) {
    emit_a_run_of(observer, message(), result);
}

/// Runs a job of a message group, or of none, to its success.
#[allow(dead_code, reason = "not every crate counts by group")]
pub(crate) fn emit_a_run_of_group(observer: &Arc<dyn Observer>, group: Option<&str>) {
    emit_a_run_of(observer, of_group(group), Ok(()));
}

/// A job of a message group, or of none, is done.
#[allow(dead_code, reason = "not every crate counts by group")]
pub(crate) fn done_of_group(group: Option<&str>) -> LedgerEvent {
    let run = Some(run(TYPE, Ending::Done));
    LedgerEvent::Decided {
        delivery: DeliveryId::default(),
        message: of_group(group),
        outcome: Outcome::Ack,
        run,
    }
}

fn of_group(group: Option<&str>) -> Arc<Message> {
    Arc::new(Message { group: group.map(str::to_owned), ..Message::clone(&message()) })
}

fn emit_a_run_of(observer: &Arc<dyn Observer>, message: Arc<Message>, result: Result<(), Failure>) {
    let result = Mutex::new(Some(result));
    let router = Router::passthrough(move |ctx: Context| {
        ctx.progress(1, 2, "steps");
        std::future::ready(result.lock().unwrap().take().unwrap())
    });
    let attempt = Attempt {
        delivery: DeliveryId::default(),
        queue: QUEUE.into(),
        intake: Arc::new(Intake::new("arn:jobs")),
        message,
        number: NonZeroU32::MIN,
        started_at: now(),
        deadline: now() + SECOND,
        latest_deadline: now() + SECOND,
        claim_length: SECOND,
        permit: None,
        arrival: None,
        control: RunControl::new(),
        host: Arc::new(Observed(Arc::clone(observer))),
    };
    let mut run = pin!(router.run(attempt));
    let polled = run.as_mut().poll(&mut std::task::Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(_)), "nothing to wait for");
}

fn message() -> Arc<Message> {
    let body = format!(r#"{{"type":"{TYPE}","payload":{{}}}}"#);
    let sent_at = Some(Duration::from_secs(1_800_000_000));
    Arc::new(Message { id: "m1".into(), body, receive_count: 1, sent_at, ..Message::default() })
}

fn endings() -> Vec<Ending> {
    let reason = || "because".to_owned();
    let duplicates =
        [DuplicateCause::Redelivered, DuplicateCause::Duplicate, DuplicateCause::Replayed].map(|cause| {
            let prior = PriorRun { finished_at_ms: Some(u64::MAX), ..PriorRun::default() };
            Ending::DoneBefore(Box::new(Duplicate { cause, prior }))
        });
    let mut endings = vec![
        Ending::Done,
        Ending::RetryAsked { after: None, reason: reason() },
        Ending::Rejected { reason: reason() },
        Ending::InvalidPayload { reason: reason() },
        Ending::NoHandler { reason: reason() },
        Ending::Panicked { reason: reason() },
        Ending::TimedOut,
        Ending::Interrupted,
        Ending::LeaseLost,
        Ending::FailedPermanently { reason: reason() },
        Ending::Busy { remaining: SECOND, reason: reason() },
        Ending::OutOfResources { reason: reason() },
        Ending::TargetUnhealthy { reason: reason() },
        Ending::Throttled { after: Some(SECOND), reason: reason() },
        Ending::StoreUnavailable { reason: reason() },
        Ending::PayloadUnavailable { reason: reason() },
    ];
    endings.extend(duplicates);
    endings.extend(LimitReason::ALL.map(|limit| Ending::Limited {
        remaining: SECOND,
        limit,
        reason: reason(),
    }));
    endings
}

fn decided(delivery: DeliveryId, job_type: &str, outcome: Outcome, ending: Option<Ending>) -> LedgerEvent {
    let run = ending.map(|ending| run(job_type, ending));
    LedgerEvent::Decided { delivery, message: message(), outcome, run }
}

fn run(job_type: &str, ending: Ending) -> RunFacts {
    let identity = Identity::new("arn:jobs", job_type, None, "k");
    RunFacts {
        job_type: Some(job_type.into()),
        identity: Some(Arc::new(identity)),
        correlation_id: Some("req-1".into()),
        attempt: NonZeroU32::MIN,
        ending,
        took: SECOND / 4,
        last_attempt: false,
    }
}

/// A job that was taken over from a dead worker.
pub(crate) fn stalled() -> LedgerEvent {
    let claim = Claim {
        identity: Arc::new(Identity::of_message("arn", TYPE, None, "m1")),
        owner: "worker".into(),
        fencing_token: 2,
        lock: None,
    };
    let takeover = Takeover { former_owner: Some("dead".into()), unended: 1 };
    LedgerEvent::Stalled { message: message(), claim: Arc::new(claim), takeover }
}

/// A failed attempt that no other follows.
fn last_attempt() -> LedgerEvent {
    let ending = Ending::RetryAsked { after: None, reason: "no route".to_owned() };
    let run = RunFacts { last_attempt: true, ..run(TYPE, ending) };
    let outcome = Outcome::RetryAfter(SECOND);
    LedgerEvent::Decided { delivery: DeliveryId::default(), message: message(), outcome, run: Some(run) }
}

/// Every note; a decision with every pair of an outcome and an ending.
fn notes() -> Vec<LedgerEvent> {
    let error = || "an error".to_owned();
    let outcomes = [
        Outcome::Ack,
        Outcome::RetryAfter(SECOND),
        Outcome::DeadLetter("because".to_owned()),
        Outcome::Requeue,
        Outcome::LeaseLost,
    ];
    let mut notes = Vec::new();
    for outcome in outcomes {
        for ending in endings().into_iter().map(Some).chain([None]) {
            notes.push(decided(DeliveryId::default(), TYPE, outcome.clone(), ending));
        }
    }
    for reason in PauseReason::ALL {
        let pause = Pause { reason, probe: Probe::Host };
        notes.extend([LedgerEvent::Paused(pause), LedgerEvent::Resumed { pause, lasted: SECOND }]);
    }
    notes.extend([
        last_attempt(),
        LedgerEvent::Settled(message()),
        LedgerEvent::Unsettled { message: message(), error: error() },
        LedgerEvent::CallFailed { message: message(), error: error() },
        LedgerEvent::Refused { message: message(), error: error() },
        LedgerEvent::Deduplicated { message: message(), done_at: now() },
        LedgerEvent::ReceivedAgain(message()),
        LedgerEvent::Moved(message()),
        LedgerEvent::NoDeadLetterQueue(message()),
        LedgerEvent::Renewed(2),
        LedgerEvent::RenewalFailed { message: message(), error: error() },
        LedgerEvent::LeaseLost(message()),
        LedgerEvent::ClaimRenewalFailed { message: message(), error: error() },
        LedgerEvent::ClaimLost(message()),
        LedgerEvent::RunsUnclaimed(message()),
        LedgerEvent::MarkFailed { message: message(), job_id: "k".into(), error: error() },
        LedgerEvent::ResultRefused { message: message(), error: error() },
        LedgerEvent::Unmarked { message: message(), job_id: "k".into(), error: error() },
        LedgerEvent::ClaimNotReleased(message()),
        LedgerEvent::KeptInHand {
            message: message(),
            run: run(TYPE, Ending::OutOfResources { reason: error() }),
        },
        LedgerEvent::KeptInHand {
            message: message(),
            run: run(TYPE, Ending::TargetUnhealthy { reason: error() }),
        },
        LedgerEvent::KeptInHand {
            message: message(),
            run: run(TYPE, Ending::Throttled { after: None, reason: error() }),
        },
        LedgerEvent::WaitsForLock { message: message(), lock: "account:42".into() },
        LedgerEvent::WaitsForLimit {
            class: JobClass::of_type(TYPE),
            reason: LimitReason::Rate,
            opens_in: Some(SECOND),
        },
        LedgerEvent::HeldForLimit { job_type: TYPE.into(), reason: LimitReason::Rate, before: 0, count: 2 },
        LedgerEvent::HeldForLimit { job_type: TYPE.into(), reason: LimitReason::Rate, before: 2, count: 1 },
        LedgerEvent::Isolated(message()),
        stalled(),
        LedgerEvent::Received { count: 0, oldest_sent_at: None },
        LedgerEvent::Received { count: 2, oldest_sent_at: message().sent_at },
        LedgerEvent::ReceiveFailed { error: error(), retry_in: SECOND },
        LedgerEvent::ReceiveOverdue,
        LedgerEvent::EmptyAtOnce,
    ]);
    notes
}

/// Passes every event on, and keeps the kinds that were there.
struct Kinds {
    seen: Mutex<(BTreeSet<usize>, BTreeSet<usize>)>,
    observer: Arc<dyn Observer>,
}

impl Observer for Kinds {
    fn observe(&self, event: &Event<'_>) {
        let mut seen = self.seen.lock().unwrap();
        seen.0.insert(event.kind());
        if let Event::Ledger { note, .. } = event {
            seen.1.insert(note.kind());
        }
        drop(seen);
        self.observer.observe(event);
    }
}

#[allow(clippy::disallowed_methods, reason = "a test's own clock")]
fn now() -> Instant {
    Instant::now()
}
