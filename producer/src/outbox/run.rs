//! The loop of a relay: it performs what [`Backlog`] and [`Intake`] decide.
//!
//! One call to the outbox is made at a time, a take or conclusions, so that each has effect before the next. Requests to SQS run beside it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use drumline::core::Jitter;
use drumline_runtime::BoxFuture;
use drumline_store::StoreError;
use drumline_store::outbox::{Conclusion, Outbox, TakenJob};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::{error, info, warn};

use super::arrived::Arrived;
use super::backlog::{Backlog, Departure};
use super::intake::Intake;
use super::notice::Notice;
use super::observer::{RelayObserver, RelaySummary};
use super::pause::Pause;
use super::preparer::Preparer;

use crate::pack::Outgoing;
use crate::producer::Producer;
use crate::requests::Requests;
use crate::send::{Reply, lost_answer};
use crate::target_queue::TargetQueue;

/// The time for what is in flight at the end. ECS and Kubernetes leave a process 30 s.
const GRACE: Duration = Duration::from_secs(15);

/// The time for giving back leases at the end.
const LEAVE: Duration = Duration::from_secs(5);

/// A wait without end for a sleep.
const LONG: Duration = Duration::from_secs(3600);

/// The unanswered calls in a row after which a drain ends.
const UNANSWERED: u32 = 3;

type Concluded = Vec<(TakenJob, Conclusion)>;

/// A call to the outbox that has ended.
enum Called {
    Took { asked_at: Instant, in_hand: usize, answer: Result<Vec<Arrived>, StoreError> },
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
    observer: Arc<dyn RelayObserver>,
    name: String,
    batch: usize,
    lease: Duration,
    poll: Duration,
    backlog: Backlog,
    intake: Intake,
    running: JoinSet<(Vec<Outgoing>, Reply)>,
    in_flight: HashMap<Id, (TargetQueue, u64)>,
    /// The call to the outbox, at most one.
    calls: JoinSet<Called>,
    /// Conclusions on their way to the outbox; the first ones in the call, or to be tried again.
    concluding: VecDeque<Arc<Concluded>>,
    is_conclusion_next: bool,
    /// Unanswered calls to the outbox.
    outage: Pause,
    unanswered: u32,
    last_error: Option<StoreError>,
    waiting: Option<BoxFuture<()>>,
    /// The time at which it stops in any case.
    stop_by: Option<Instant>,
    summary: RelaySummary,
}

impl Run {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { outbox, producer, requests, observer, name, batch, lease, poll } = parts;
        Self {
            outbox,
            requests,
            preparer: Arc::new(Preparer::new(producer.routes())),
            observer,
            name,
            batch,
            lease,
            poll,
            backlog: Backlog::default(),
            intake: Intake::new(batch),
            running: JoinSet::new(),
            in_flight: HashMap::new(),
            calls: JoinSet::new(),
            concluding: VecDeque::new(),
            is_conclusion_next: true,
            outage: Pause::default(),
            unanswered: 0,
            last_error: None,
            waiting: None,
            stop_by: None,
            summary: RelaySummary::default(),
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
            self.report();
        }
        self.leave().await;
        self.summary
    }

    /// Sends all jobs that are due.
    pub(super) async fn until_empty(mut self) -> Result<RelaySummary, StoreError> {
        while !self.is_drained() {
            self.start();
            self.step().await;
            self.report();
            if self.unanswered >= UNANSWERED
                && let Some(error) = self.last_error.take()
            {
                return Err(error);
            }
        }
        self.summary.left = self.outbox.lag().await?.due;
        self.leave().await;
        Ok(self.summary)
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
        self.intake.is_exhausted() && self.calls.is_empty() && self.backlog.in_hand() == 0
    }

    async fn leave(&mut self) {
        match timeout(LEAVE, self.outbox.leave(&self.name)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "outbox lease not given back: it ends by itself"),
            Err(_) => warn!("outbox lease not given back in time: it ends by itself"),
        }
    }

    /// Starts all that can be started now.
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

    /// Waits until something has happened, or something can be started. Dropped, it has missed nothing.
    async fn step(&mut self) {
        let wake_at = self.wake_at(Instant::now());
        let Self { running, calls, waiting, .. } = self;
        tokio::select! {
            Some(ended) = running.join_next_with_id() => self.end_request(ended),
            Some(called) = calls.join_next() => self.end_call(called),
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
        // While a call is out, its end is what is waited for.
        let may_call = self.calls.is_empty();
        let conclude_at = self.backlog.conclude_at(now).or_else(|| self.concluding.front().map(|_| now));
        let again = (!outage.is_zero()).then_some(outage_ends);
        let for_calls = conclude_at.into_iter().chain(self.intake.wake_at()).chain(again);
        let for_calls = for_calls.min().filter(|_| may_call).map(|at| at.max(outage_ends));
        let others = self.backlog.wake_at(now).into_iter().chain(self.stop_by);
        let at = others.chain(for_calls).min().unwrap_or(now + LONG);
        // An intake that has no room may name a time that has passed; its room comes with the end of a request.
        if at <= now { now + Duration::from_millis(1) } else { at }
    }

    fn send(&mut self, departure: Departure) {
        let Departure { number, queue, messages, ends } = departure;
        let (requests, to) = (Arc::clone(&self.requests), queue.clone());
        // A task of its own: requests run beside each other, and a panic in one ends no other.
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
            Err(error) => (error.id(), (Vec::new(), Err(lost_answer("the request ended by a panic".to_owned())))),
        };
        if let Some((queue, number)) = self.in_flight.remove(&id) {
            self.backlog.answered(Instant::now(), &queue, number, messages, reply, jitter());
        }
    }

    /// Makes the next call to the outbox, if one is due. Conclusions and takes have turns.
    fn call(&mut self, now: Instant) {
        if !self.calls.is_empty() || !self.outage.left(now).is_zero() {
            return;
        }
        if self.concluding.is_empty() && self.backlog.conclude_at(now).is_some_and(|at| at <= now) {
            self.concluding.push_back(Arc::new(self.backlog.take_conclusions()));
        }
        let takes = self.stop_by.is_none()
            && self.intake.takes(now, self.backlog.ready(), self.backlog.in_hand());
        match self.concluding.front().cloned().filter(|_| self.is_conclusion_next || !takes) {
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
        let (outbox, preparer) = (Arc::clone(&self.outbox), Arc::clone(&self.preparer));
        let (name, batch, lease) = (self.name.clone(), self.batch, self.lease);
        let in_hand = self.backlog.in_hand();
        self.calls.spawn(async move {
            let answer = match outbox.take(&name, batch, lease).await {
                Ok(jobs) => Ok(preparer.prepare_all(asked_at, jobs).await),
                Err(error) => Err(error),
            };
            Called::Took { asked_at, in_hand, answer }
        });
    }

    fn end_call(&mut self, called: Result<Called, JoinError>) {
        let now = Instant::now();
        match called {
            Ok(Called::Took { asked_at, in_hand, answer: Ok(arrived) }) => {
                self.outbox_answered(asked_at);
                let bytes = arrived.iter().map(|arrived| arrived.taken.job.payload.len()).sum();
                self.intake.took(now, arrived.len(), bytes, in_hand);
                self.backlog.accept(now, arrived, jitter());
            }
            Ok(Called::Concluded { asked_at, answer: Ok(_) }) => {
                self.outbox_answered(asked_at);
                self.confirm();
            }
            Ok(Called::Concluded { answer: Err(StoreError::Refused(text)), .. }) => {
                self.conclusions_refused(&text);
            }
            Ok(
                Called::Took { asked_at, answer: Err(error), .. }
                | Called::Concluded { asked_at, answer: Err(error) },
            ) => {
                self.outbox_unanswered(now, asked_at, error);
            }
            Err(panic) => {
                let error = StoreError::Unanswered(format!("the call to the outbox ended: {panic}").into());
                self.outbox_unanswered(now, now, error);
            }
        }
    }

    fn confirm(&mut self) {
        if let Some(concluded) = self.concluding.pop_front() {
            self.backlog.confirmed(&concluded, self.concluding.is_empty());
        }
    }

    /// Concludes the jobs one by one, so that one conclusion that the outbox does not keep hinders no other.
    fn conclusions_refused(&mut self, reason: &impl std::fmt::Display) {
        let Some(concluded) = self.concluding.front().cloned() else { return };
        if let [(taken, conclusion)] = &concluded[..] {
            error!(job_id = taken.job.id, ?conclusion, %reason, "outbox refuses a conclusion: the job may be sent again");
            self.confirm();
            return;
        }
        self.concluding.pop_front();
        for one in concluded.iter().rev() {
            self.concluding.push_front(Arc::new(vec![one.clone()]));
        }
    }

    fn outbox_answered(&mut self, asked_at: Instant) {
        self.unanswered = 0;
        if self.outage.succeeded(asked_at) {
            info!("outbox answers again");
        }
    }

    fn outbox_unanswered(&mut self, now: Instant, asked_at: Instant, error: StoreError) {
        self.unanswered += 1;
        self.observer.outbox_unanswered();
        if self.outage.failed(now, asked_at, None, jitter()) {
            warn!(%error, "outbox does not answer");
        }
        self.last_error = Some(error);
    }

    /// Logs and counts what has happened.
    fn report(&mut self) {
        for notice in self.backlog.take_notices() {
            match notice {
                Notice::Sent { queue, jobs } => {
                    self.summary.sent += jobs;
                    self.observer.sent(&queue, jobs);
                }
                Notice::PutBack { queue, class, jobs } => {
                    self.summary.put_back += jobs;
                    self.observer.failed(queue.as_deref(), class, jobs);
                }
                Notice::Parked { queue, class, job_id, job_type, reason } => {
                    self.summary.parked += 1;
                    self.observer.parked(queue.as_deref(), class);
                    let class = class.label();
                    warn!(queue, job_id, job_type, class, reason, "outbox job parked");
                }
                Notice::QueueFails { queue, class, reason, pause } => {
                    warn!(queue, class = class.label(), reason, ?pause, "queue takes no outbox jobs");
                }
                Notice::EntriesFail { queue, class, reason } => {
                    warn!(queue, class = class.label(), reason, "outbox job not sent: put back");
                }
                Notice::QueueRecovers { queue } => info!(queue, "queue takes outbox jobs again"),
            }
        }
    }
}

/// Waits for the end of a future that is kept. A missing one has none.
async fn ended(waiting: Option<&mut BoxFuture<()>>) {
    match waiting {
        Some(waiting) => waiting.await,
        None => std::future::pending().await,
    }
}

fn jitter() -> Jitter {
    Jitter::new(fastrand::u32(..))
}
