//! The loop that moves a queue's ledger: tells it what happened, carries out what it says. Holds no policy.

mod branches;
mod dead;
mod emitter;
mod follow_target;
pub(crate) mod input;
mod job_order;
mod job_requests;
mod jobs;
mod orders;
mod parts;
mod queue_orders;
mod runs;
mod start;
mod store;
mod target;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use drumline::Router;
use drumline::core::{
    Claims, Effect, Jitter, Ledger, Limits, Pause, PauseReason, Probe, Receive, RunControl, SqsErrorKind,
};
use drumline::message::{Intake, Message};
use drumline::run::{Attempt, Observer, RunEnvironment};
use event_listener::EventListener;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::Instrument as _;

use crate::batch_report::BatchReport;
use crate::claims::ClaimStoreClient;
use crate::clock::since_epoch;
use crate::dead_jobs::DeadJobs;
use crate::handlers::TokioHost;
use crate::log_writer::HeldLines;
use crate::outcome_cache::SharedOutcomeCache;
use crate::resources::ResourceProbe;
use crate::sqs::{BoxFuture, Queue, SqsError};
use crate::target::TargetHealth;
use branches::{answer, change, event, new_orders, now, sleep_until};
use emitter::Emitter;
use input::{Input, send};
pub use job_order::{JobAction, JobAnswer, JobOrder};
pub use job_requests::JobRequests;
pub use parts::{DriverConfig, Grace};
pub use queue_orders::QueueOrders;
use runs::Runs;
use target::Target;

/// Events taken from the channel at once. More than come together in practice; it only bounds one turn of the loop.
const MAX_TURN: usize = 256;

/// Events on their way to the loop. Tasks wait when it is full, so it bounds memory, not correctness.
const CHANNEL: usize = 1024;

/// Calls in flight at once. SQS answers one in milliseconds, and each has a connection: a Lambda function may have 1,024
/// files open, all of its concurrent batches together.
pub(crate) const MAX_CALLS: usize = 64;

/// The loop of one queue, or of one batch.
pub struct Driver {
    ledger: Ledger,
    queue: Arc<dyn Queue>,
    router: Arc<Router>,
    intake: Arc<Intake>,
    host: Arc<dyn RunEnvironment>,
    free_slots: Arc<AtomicUsize>,
    observer: Emitter,
    handlers: Handle,
    lease: Option<BoxFuture<Option<Duration>>>,
    calls: Arc<Semaphore>,
    claim_store: Option<ClaimStoreClient>,
    memory: Option<SharedOutcomeCache>,
    resources: ResourceProbe,
    limits: Option<Limits>,
    orders: Option<watch::Receiver<QueueOrders>>,
    target: Target,
    dead_jobs: Option<DeadJobs>,
    report: BatchReport,
    inputs: mpsc::Sender<Input>,
    inbox: mpsc::Receiver<Input>,
}

impl Driver {
    /// A loop made of these.
    pub fn new(parts: DriverConfig) -> Self {
        let DriverConfig {
            name,
            intake,
            ledger,
            queue,
            router,
            observer,
            status,
            claim_store,
            payloads,
            next_jobs,
            limits,
            handlers,
        } = parts;
        let mut ledger = ledger;
        let limits = limits.map(|limits| limits.for_queue());
        if let Some(limits) = &limits {
            ledger.set_limits(limits.clone());
        }
        debug_assert_eq!(
            claim_store.is_some(),
            ledger.policy().claims != Claims::Off,
            "claims are asked for and renewed, or neither"
        );
        let store = claim_store.as_ref().map(|claim_store| Arc::clone(claim_store.store()));
        let dead_jobs = router.dead_job_hook().map(|hook| DeadJobs::new(hook.clone(), store));
        let observer = match &claim_store {
            Some(claim_store) => {
                Arc::new(vec![Arc::new(claim_store.history_observer()) as Arc<dyn Observer>, observer])
            }
            None => observer,
        };
        let (inputs, inbox) = mpsc::channel(CHANNEL);
        let free_slots = Arc::new(AtomicUsize::new(usize::MAX));
        let host = Arc::new(TokioHost {
            queue: Arc::clone(&name),
            free_slots: Arc::clone(&free_slots),
            claim_store: claim_store.clone(),
            inputs: inputs.clone(),
            observer: Arc::clone(&observer),
            max_receives: ledger.policy().receives.at_most(),
            payloads,
            next_jobs,
            limits: limits.clone(),
            handler_timeout_by_type: ledger.policy().handler_timeout_by_type.clone(),
        });
        let observer = Emitter::new(name, observer, status);
        let calls = Arc::new(Semaphore::new(MAX_CALLS));
        let report = BatchReport::default();
        let resources = ResourceProbe::new(ledger.policy().concurrency.get());
        let driver = Self {
            ledger,
            queue,
            router,
            intake,
            host,
            free_slots,
            observer,
            handlers,
            lease: None,
            calls,
            claim_store,
            memory: None,
            resources,
            limits,
            orders: None,
            target: Target::new(TargetHealth::of_handlers()),
            dead_jobs,
            report,
            inputs,
            inbox,
        };
        driver.share_tenants();
        driver
    }

    /// Has the loop find out how long leases are, where the ledger does not know: the future's answer counts, `None`
    /// leaves them as they are.
    pub fn resolve_lease(&mut self, lease: BoxFuture<Option<Duration>>) {
        self.lease = Some(lease);
    }

    /// Keeps the ledger's outcomes in `memory`, each as soon as it is known, for the ledgers after this one and beside it.
    pub fn remember_in(&mut self, memory: SharedOutcomeCache) {
        self.memory = Some(memory);
    }

    /// Hands in messages that came without a receive, and that have time until `drain_at`.
    pub fn hand_in(&mut self, messages: Vec<Message>, drain_at: Instant) {
        self.ledger.set_deadline(drain_at);
        self.ledger.deliver(now(), messages);
    }

    /// Consumes the queue until `shutdown` completes and the drain after it is over; where messages were handed in, until
    /// none is left. A run that does not stop is dropped at the end. Returns the result, which is the same if all
    /// telemetry is discarded.
    pub async fn run(&mut self, shutdown: impl Future<Output = Grace>) -> BatchReport {
        let mut runs = Runs::default();
        let mut turn = Vec::new();
        let mut shutdown = std::pin::pin!(shutdown);
        let mut draining = false;
        let mut store = self.store_to_watch();
        let mut slots_changed = self.ledger.slots_changed();
        self.probe_target();
        self.obey_orders();
        loop {
            self.follow_target();
            let turn_began = now();
            let mut limits_changed = self.listen_to_limits();
            self.act(turn_began, &mut runs);
            if limits_changed.is_none() {
                limits_changed = self.listen_to_limits();
                if limits_changed.is_some() {
                    // They may have changed since a message of this turn was refused.
                    self.act(turn_began, &mut runs);
                }
            }
            self.observer.state(&self.ledger, runs.oldest());
            if let Some(summary) = self.ledger.drained() {
                if draining {
                    self.observer.drained(summary);
                }
                drop(runs);
                self.calls.close();
                self.inbox.close();
                return BatchReport { summary, ..std::mem::take(&mut self.report) };
            }
            let lacks = self.ledger.pause_reasons().any(|reason| reason == PauseReason::OutOfResources);
            self.resources.watch(turn_began, lacks);
            let timeout = self.ledger.timeout();
            // Every branch is cancel-safe: `recv_many` takes nothing out before it completes, the shutdown, the lease and the
            // probe are polled by reference, changes are seen the next time, and a sleep holds no state worth keeping.
            tokio::select! {
                biased;
                _ = self.inbox.recv_many(&mut turn, MAX_TURN) => {
                    // They happened together, and a clock takes longer to read than most of them to tell.
                    let now = now();
                    for input in turn.drain(..) {
                        self.handle_event(now, input, &mut runs);
                    }
                }
                grace = &mut shutdown, if !draining => {
                    draining = true;
                    self.observer.draining(&self.ledger, grace.finish);
                    self.ledger.drain_until(now(), grace.finish, now() + grace.end);
                }
                lease = answer(&mut self.lease), if self.lease.is_some() => {
                    self.lease = None;
                    if let Some(lease) = lease {
                        self.ledger.set_lease(lease);
                    }
                }
                answers = change(&mut store) => self.store_answers(answers),
                () = self.resources.freed() => {
                    self.ledger.resume(now(), PauseReason::OutOfResources);
                    self.resources.ended(now());
                }
                () = self.target.changed() => {}
                () = new_orders(&mut self.orders) => self.obey_orders(),
                () = event(limits_changed.as_mut()), if limits_changed.is_some() => {}
                () = event(slots_changed.as_mut()), if slots_changed.is_some() => {
                    // Before the next turn, which uses what is granted by then.
                    slots_changed = self.ledger.slots_changed();
                }
                () = sleep_until(timeout) => {}
            }
        }
    }

    /// Returns a listener to changes of the limits while messages wait for them.
    fn listen_to_limits(&self) -> Option<EventListener> {
        self.limits.as_ref().filter(|_| self.ledger.waits_for_limits()).map(Limits::changed)
    }

    /// Puts time in, and performs all that follows.
    fn act(&mut self, now: Instant, runs: &mut Runs) {
        let _lines = HeldLines::new();
        let mut starts = Vec::new();
        loop {
            self.ledger.tick(now);
            let mut answered = false;
            while let Some(effect) = self.ledger.next_effect() {
                answered |= self.perform(now, effect, runs, &mut starts);
            }
            // What was answered at once may be due at once.
            if !answered {
                break;
            }
        }
        self.publish_free_slots();
        self.launch(starts);
    }

    /// Publishes how many more messages may start, for open batches: none unless they are received.
    fn publish_free_slots(&self) {
        let receives = self.ledger.policy().polling.is_some();
        let free = if receives { self.ledger.demand() } else { 0 };
        self.free_slots.store(free, Ordering::Release);
    }

    fn handle_event(&mut self, now: Instant, input: Input, runs: &mut Runs) {
        let jitter = Jitter::new(fastrand::u32(..));
        match input {
            Input::Received(id, at, Ok(messages)) => {
                self.observer.receive_succeeded();
                self.ledger.note_age(since_epoch(), &messages);
                self.ledger.received(at, id, messages);
            }
            Input::Received(id, _, Err(error)) => {
                self.observer.receive_failed(now, &error);
                let SqsError { kind, text, retry_after, .. } = error;
                if let Some(wait) = retry_after {
                    self.ledger.hold_receives(now, wait);
                }
                if kind == SqsErrorKind::OutOfResources {
                    self.ledger.pause(now, Pause { reason: PauseReason::OutOfResources, probe: Probe::Host });
                }
                self.ledger.receive_failed(now, id, kind.receive_failure(), text, jitter);
            }
            Input::Ended(id, report) => {
                let Some(report) = self.bury(now, id, report, runs) else { return };
                let began_at = runs.end(id);
                self.learn_of_target(&report, began_at);
                self.ledger.ended(now, id, report, jitter);
            }
            Input::Buried(id, report, ended_at, succeeded) => {
                if let (Some(succeeded), Some(message)) = (succeeded, self.ledger.message_of(id)) {
                    self.observer.dead_job_hook(&message.id, succeeded);
                }
                let began_at = runs.end(id);
                self.learn_of_target(&report, began_at);
                self.ledger.failed(now, id, *report, ended_at, jitter);
            }
            Input::Called(id, replies) => self.ledger.called(now, id, replies, jitter),
            Input::Opened(id, at) => self.ledger.opened(at, id),
            Input::Typed(id, job_type) => self.ledger.set_job_type(id, &job_type),
            Input::Claimed(id, answer) => self.ledger.claimed(now, id, answer),
            Input::ClaimRenewed(id, claim, reply) => self.ledger.claim_renewed(now, id, &claim, reply),
            Input::Marked(id, reply) => self.ledger.marked(now, id, reply),
            Input::ClaimReleased(id, claim, reply) => self.ledger.claim_released(now, id, &claim, reply),
            Input::Job(request) => self.obey(now, request),
        }
    }

    /// Performs an effect. Returns true if the ledger has the answer already.
    fn perform(&mut self, now: Instant, effect: Effect, runs: &mut Runs, starts: &mut Vec<Attempt>) -> bool {
        match effect {
            Effect::Start(start) => {
                let control = RunControl::new();
                runs.begin(now, start.delivery, control.clone());
                starts.push(self.attempt(start, control));
            }
            Effect::Cancel(id, reason) => {
                if let Some(control) = runs.control(id) {
                    control.cancel(reason);
                }
            }
            Effect::Abort(id) => {
                if let Some(control) = runs.control(id) {
                    control.abort();
                }
            }
            Effect::Receive(receive) => self.receive(receive),
            Effect::Claim(id, step) => {
                if let Some(control) = runs.control(id) {
                    control.claim_step(step);
                }
            }
            Effect::Mark { delivery, claim, result, next } => {
                return self.mark(now, delivery, claim, result, next);
            }
            Effect::RenewClaim { delivery, claim, length } => self.ask_store(async move |claim_store| {
                let reply = claim_store.renew(&claim, length).await;
                Input::ClaimRenewed(delivery, claim, reply)
            }),
            Effect::ReleaseClaim { delivery, claim, how } => self.ask_store(async move |claim_store| {
                let reply = claim_store.release(&claim, &how).await;
                Input::ClaimReleased(delivery, claim, reply)
            }),
            Effect::Call(call) => {
                let reply = self.queue.perform(call.action);
                let (inputs, calls) = (self.inputs.clone(), Arc::clone(&self.calls));
                tokio::spawn(async move {
                    // Closed once the ledger has ended: what has had no turn by then is too late.
                    let Ok(turn) = calls.acquire().await else { return };
                    // A call that hangs must not reach SQS after the loop's end: a function's process is frozen then, and goes
                    // on with it at its next invocation.
                    let replies = tokio::select! {
                        replies = reply => replies,
                        () = inputs.closed() => return,
                    };
                    drop(turn);
                    send(&inputs, Input::Called(call.id, replies)).await;
                });
            }
            Effect::Finished { message, disposition, .. } => {
                let handed_in = self.ledger.policy().polling.is_none();
                self.report.finished(&message, disposition, handed_in);
            }
            Effect::Remember { message, prior } => {
                if let Some(memory) = &self.memory {
                    memory.learn(Arc::clone(&message.id), prior);
                }
            }
            Effect::Event(note) => self.observer.note(&note),
        }
        false
    }

    /// The receive lives in a task of its own: dropped half-way, it would hide the messages it was about to bring.
    fn receive(&self, receive: Receive) {
        let inputs = self.inputs.clone();
        let messages = if receive.is_short {
            self.queue.receive_now(receive.max)
        } else {
            self.queue.receive(receive.max)
        };
        tokio::spawn(
            async move {
                let result = messages.await;
                // The lease runs from here, however long the input waits.
                send(&inputs, Input::Received(receive.id, now(), result)).await;
            }
            .in_current_span(),
        );
    }
}
