//! The main loop of a relay: it performs the decisions of [`Backlog`] and [`Intake`].
//!
//! There is one call to the outbox at a time, a take or conclusions, so that each has effect before the next. Requests to SQS
//! run concurrently.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use drumline::core::Jitter;
use drumline_runtime::BoxFuture;
use drumline_store::StoreError;
use drumline_store::outbox::{Outbox, TakenJob};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::{error, info, warn};

use super::arrived::Arrived;
use super::backlog::{Backlog, Departure};
use super::concluding::Concluding;
use super::intake::Intake;
use super::observer::{RelayObserver, RelaySummary};
use super::pause::Pause;
use super::preparer::Preparer;
use super::report::Report;

use crate::pack::Outgoing;
use crate::producer::Producer;
use crate::requests::Requests;
use crate::send::{Reply, lost_answer};
use crate::target_queue::TargetQueue;

/// The time for operations in flight at the end. ECS and Kubernetes give a process 30 s.
const GRACE: Duration = Duration::from_secs(15);

/// The time for releasing leases at the end.
const LEAVE: Duration = Duration::from_secs(5);

/// A duration that stands for no limit.
const LONG: Duration = Duration::from_secs(3600);

/// The number of consecutive unanswered calls after which a drain ends.
const UNANSWERED: u32 = 3;

/// A call to the outbox that has ended.
enum Called {
    Took { asked_at: Instant, in_hand: usize, answer: Result<Vec<TakenJob>, StoreError> },
    Concluded { asked_at: Instant, answer: Result<usize, StoreError> },
}

/// The parts of a relay, and its options.
pub(super) struct Parts {
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) producer: Producer,
    pub(super) requests: Arc<dyn Requests>,
    pub(super) observer: Arc<dyn RelayObserver>,
    pub(super) name: String,
    pub(super) batch: usize,
    pub(super) lease: Duration,
    pub(super) poll: Duration,
}

/// A running relay.
pub(super) struct Run {
    outbox: Arc<dyn Outbox>,
    requests: Arc<dyn Requests>,
    preparer: Arc<Preparer>,
    name: String,
    batch: usize,
    lease: Duration,
    poll: Duration,
    backlog: Backlog,
    intake: Intake,
    running: JoinSet<(Vec<Outgoing>, Reply)>,
    in_flight: HashMap<Id, (TargetQueue, u64)>,
    /// The call to the outbox; at most one.
    calls: JoinSet<Called>,
    /// Taken jobs that are not in the backlog yet.
    preparing: JoinSet<Vec<Arrived>>,
    /// The number of jobs of each of these tasks.
    prepared_by: HashMap<Id, usize>,
    concluding: Concluding,
    is_conclusion_next: bool,
    /// The outage of the outbox, measured by failed calls.
    outage: Pause,
    unanswered: u32,
    last_error: Option<StoreError>,
    waiting: Option<BoxFuture<()>>,
    /// The time at which the relay stops in any case.
    stop_by: Option<Instant>,
    report: Report,
}

impl Run {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { outbox, producer, requests, observer, name, batch, lease, poll } = parts;
        Self {
            outbox,
            requests,
            preparer: Arc::new(Preparer::new(producer.routes())),
            name,
            batch,
            lease,
            poll,
            backlog: Backlog::default(),
            intake: Intake::new(batch),
            running: JoinSet::new(),
            in_flight: HashMap::new(),
            calls: JoinSet::new(),
            preparing: JoinSet::new(),
            prepared_by: HashMap::new(),
            concluding: Concluding::default(),
            is_conclusion_next: true,
            outage: Pause::default(),
            unanswered: 0,
            last_error: None,
            waiting: None,
            stop_by: None,
            report: Report::new(observer),
        }
    }

    /// Sends jobs until `shutdown` ends.
    pub(super) async fn until(mut self, shutdown: impl Future<Output = ()>) -> RelaySummary {
        let mut shutdown = std::pin::pin!(shutdown);
        while !self.has_stopped() {
            self.start();
            let is_stopping = self.stop_by.is_some();
            tokio::select! {
                () = shutdown.as_mut(), if !is_stopping => self.stop_by = Some(Instant::now() + GRACE),
                () = self.step() => {}
            }
            self.report.events(self.backlog.take_notices());
        }
        self.leave().await;
        self.report.summary
    }

    /// Sends all due jobs.
    pub(super) async fn until_empty(mut self) -> Result<RelaySummary, StoreError> {
        let drained = self.drain().await;
        self.leave().await;
        drained.map(|left| RelaySummary { left, ..self.report.summary })
    }

    /// Sends all due jobs. Returns the number of jobs that are still due.
    async fn drain(&mut self) -> Result<u64, StoreError> {
        while !self.is_drained() {
            self.start();
            self.step().await;
            self.report.events(self.backlog.take_notices());
            if self.unanswered >= UNANSWERED
                && let Some(error) = self.last_error.take()
            {
                return Err(error);
            }
        }
        Ok(self.outbox.lag().await?.due)
    }

    fn has_stopped(&self) -> bool {
        let Some(stop_by) = self.stop_by else { return false };
        let now = Instant::now();
        let is_idle = self.running.is_empty()
            && self.calls.is_empty()
            && self.concluding.is_empty()
            && self.backlog.conclude_at(now).is_none();
        is_idle || now >= stop_by
    }

    fn is_drained(&self) -> bool {
        self.intake.is_exhausted() && self.calls.is_empty() && self.in_hand() == 0
    }

    /// Returns the number of jobs without a confirmed conclusion.
    fn in_hand(&self) -> usize {
        self.being_prepared() + self.backlog.in_hand()
    }

    fn being_prepared(&self) -> usize {
        self.prepared_by.values().sum()
    }

    async fn leave(&mut self) {
        match timeout(LEAVE, self.outbox.leave(&self.name)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "outbox lease not given back: it ends by itself"),
            Err(_) => warn!("outbox lease not given back in time: it ends by itself"),
        }
    }

    /// Starts everything that can be started now.
    fn start(&mut self) {
        let now = Instant::now();
        if self.stop_by.is_some() {
            self.backlog.forget_unsent();
        }
        self.backlog.put_back_unavailable(now);
        while let Some(departure) = self.backlog.next_departure(now) {
            self.send(departure);
        }
        self.call(now);
        if self.waiting.is_none() && self.intake.is_waiting() && self.stop_by.is_none() {
            let (outbox, poll) = (Arc::clone(&self.outbox), self.poll);
            self.waiting = Some(Box::pin(async move { outbox.wait(poll).await }));
        }
    }

    /// Waits until an event has happened, or something can be started. If it is dropped, no event is lost.
    async fn step(&mut self) {
        let wake_at = self.wake_at(Instant::now());
        let Self { running, calls, preparing, waiting, .. } = self;
        tokio::select! {
            Some(ended) = running.join_next_with_id() => self.end_request(ended),
            Some(called) = calls.join_next() => self.end_call(called),
            Some(ended) = preparing.join_next_with_id() => self.end_preparation(ended),
            () = ended(waiting.as_mut()), if waiting.is_some() => {
                self.waiting = None;
                self.intake.wake();
            }
            () = sleep_until(wake_at) => {}
        }
    }

    fn wake_at(&self, now: Instant) -> Instant {
        let outage = self.outage.left(now);
        let outage_ends = now + outage;
        // While a call is in flight, its end is the next event.
        let may_call = self.calls.is_empty();
        let conclude_at = self.backlog.conclude_at(now).or_else(|| self.concluding.next().map(|_| now));
        let again = (!outage.is_zero()).then_some(outage_ends);
        let for_calls = conclude_at.into_iter().chain(self.intake.wake_at()).chain(again);
        let for_calls = for_calls.min().filter(|_| may_call).map(|at| at.max(outage_ends));
        let others = self.backlog.wake_at(now).into_iter().chain(self.stop_by);
        let at = others.chain(for_calls).min().unwrap_or(now + LONG);
        // An intake without room may return a time in the past; its room comes with the end of a request.
        if at <= now { now + Duration::from_millis(1) } else { at }
    }

    fn send(&mut self, departure: Departure) {
        let Departure { number, queue, messages, ends } = departure;
        let (requests, to) = (Arc::clone(&self.requests), queue.clone());
        // A separate task: requests run concurrently, and a panic in one does not end the others.
        let request = self.running.spawn(async move {
            timeout_at(ends, requests.send(to, messages)).await.unwrap_or_else(|_| {
                (Vec::new(), Err(lost_answer("SQS has not answered before the lease's end".to_owned())))
            })
        });
        self.in_flight.insert(request.id(), (queue, number));
    }

    fn end_request(&mut self, ended: Result<(Id, (Vec<Outgoing>, Reply)), JoinError>) {
        let (id, (messages, reply)) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                (error.id(), (Vec::new(), Err(lost_answer("the request ended by a panic".to_owned()))))
            }
        };
        if let Some((queue, number)) = self.in_flight.remove(&id) {
            self.backlog.answered(Instant::now(), &queue, number, messages, reply, jitter());
        }
    }

    /// Makes the next call to the outbox if one is due. Conclusions and takes alternate.
    fn call(&mut self, now: Instant) {
        if !self.calls.is_empty() || !self.outage.left(now).is_zero() {
            return;
        }
        if self.concluding.is_empty() && self.backlog.conclude_at(now).is_some_and(|at| at <= now) {
            self.concluding.push(self.backlog.take_conclusions());
        }
        let ready = self.backlog.ready() + self.being_prepared();
        let may_take = self.stop_by.is_none() && !self.concluding.is_refused();
        let takes = may_take && self.intake.takes(now, ready, self.in_hand());
        match self.concluding.next().filter(|_| self.is_conclusion_next || !takes) {
            Some(concluded) => {
                self.is_conclusion_next = false;
                let outbox = Arc::clone(&self.outbox);
                self.calls.spawn(async move {
                    Called::Concluded { asked_at: now, answer: outbox.conclude(&concluded).await }
                });
            }
            None if takes => {
                self.is_conclusion_next = true;
                self.take(now);
            }
            None => {}
        }
    }

    fn take(&mut self, asked_at: Instant) {
        let outbox = Arc::clone(&self.outbox);
        let (name, batch, lease) = (self.name.clone(), self.batch, self.lease);
        let in_hand = self.in_hand();
        self.calls.spawn(async move {
            Called::Took { asked_at, in_hand, answer: outbox.take(&name, batch, lease).await }
        });
    }

    /// Prepares jobs in a separate task, so that conclusions do not wait for the lookup of a queue.
    fn prepare(&mut self, asked_at: Instant, jobs: Vec<TakenJob>) {
        if jobs.is_empty() {
            return;
        }
        let (preparer, count) = (Arc::clone(&self.preparer), jobs.len());
        let task = self.preparing.spawn(async move { preparer.prepare_all(asked_at, jobs).await });
        self.prepared_by.insert(task.id(), count);
    }

    fn end_preparation(&mut self, ended: Result<(Id, Vec<Arrived>), JoinError>) {
        match ended {
            Ok((id, arrived)) => {
                self.prepared_by.remove(&id);
                self.backlog.accept(Instant::now(), arrived, jitter());
            }
            Err(panic) => {
                let jobs = self.prepared_by.remove(&panic.id()).unwrap_or_default();
                error!(jobs, %panic, "outbox jobs not prepared: they wait for the end of their lease");
            }
        }
    }

    fn end_call(&mut self, called: Result<Called, JoinError>) {
        let now = Instant::now();
        match called {
            Ok(Called::Took { asked_at, in_hand, answer: Ok(jobs) }) => {
                self.outbox_answered(asked_at);
                let bytes = jobs.iter().map(|taken| taken.job.payload.len()).sum();
                self.intake.took(now, jobs.len(), bytes, in_hand);
                self.prepare(asked_at, jobs);
            }
            Ok(Called::Concluded { asked_at, answer: Ok(lost) }) => {
                self.outbox_answered(asked_at);
                self.confirm(lost);
            }
            Ok(Called::Concluded { asked_at, answer: Err(error @ StoreError::Refused(_)) }) => {
                self.conclusions_refused(now, asked_at, error);
            }
            Ok(Called::Concluded { asked_at, answer: Err(error) }) => {
                self.concluding.unanswered();
                self.outbox_failed(now, asked_at, error);
            }
            Ok(Called::Took { asked_at, answer: Err(error), .. }) => self.outbox_failed(now, asked_at, error),
            Err(panic) => {
                let error = StoreError::Unanswered(format!("the call to the outbox ended: {panic}").into());
                self.concluding.unanswered();
                self.outbox_failed(now, now, error);
            }
        }
    }

    fn confirm(&mut self, lost: usize) {
        let Some((concluded, is_first_time)) = self.concluding.confirmed() else { return };
        if is_first_time {
            self.report.leases_lost(lost);
        }
        self.backlog.confirmed(&concluded, self.concluding.is_empty());
    }

    /// Retries refused conclusions one by one. While a single one is refused, no jobs are taken: a right may be missing, and
    /// they would be sent repeatedly.
    fn conclusions_refused(&mut self, now: Instant, asked_at: Instant, error: StoreError) {
        if self.concluding.refused().is_some() {
            self.outbox_failed(now, asked_at, error);
        }
    }

    fn outbox_answered(&mut self, asked_at: Instant) {
        self.unanswered = 0;
        if self.outage.succeeded(asked_at) {
            info!("outbox answers the relay again");
        }
    }

    fn outbox_failed(&mut self, now: Instant, asked_at: Instant, error: StoreError) {
        self.unanswered += 1;
        self.report.outbox_failed();
        if self.outage.failed(now, asked_at, None, jitter()) {
            match &error {
                StoreError::Refused(_) => error!(%error, "outbox refuses the relay"),
                StoreError::Unanswered(_) => warn!(%error, "outbox does not answer"),
            }
        }
        self.last_error = Some(error);
    }
}

/// Waits for the end of a stored future. Without a future it never ends.
async fn ended(waiting: Option<&mut BoxFuture<()>>) {
    match waiting {
        Some(waiting) => waiting.await,
        None => std::future::pending().await,
    }
}

fn jitter() -> Jitter {
    Jitter::new(fastrand::u32(..))
}
