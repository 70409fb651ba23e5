//! The ledger: every delivery in hand, from its receipt to its settlement, for any host.
//!
//! It performs nothing. A host tells it what happened ([`received`](Ledger::received), [`ended`](Ledger::ended),
//! [`called`](Ledger::called), [`drain`](Ledger::drain)), calls [`tick`](Ledger::tick), carries out the
//! [`effects`](Ledger::next_effect), and comes back at the [`timeout`](Ledger::timeout) at the latest.
//!
//! Invariants, each a property test: every delivery ends in exactly one outcome, or is reported as abandoned; a message
//! is deleted only after its handler's success or a confirmed copy in the DLQ; at most `concurrency` runs at once, and
//! at most as many deliveries again wait for SQS to confirm them; no call is made for a lease that has ended; within a
//! lane nothing starts before its predecessor is settled; a lost reply holds a place no longer than its lease.

mod answers;
mod claims;
mod clock;
mod dispositions;
mod drain;
mod flow;
mod locks;
mod pausing;
mod probing;
mod resources;
mod suspects;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::core::batches::Batch;
use crate::core::call::{Call, CallId};
use crate::core::claim::{Claim, ClaimStep, JobResult, Surrender};
use crate::core::control::CancelReason;
use crate::core::delivery::{Delivery, DeliveryId};
use crate::core::isolation::Isolation;
use crate::core::lock_waits::LockWaits;
use crate::core::note::Note;
use crate::core::pause::Pauses;
use crate::core::policy::{InvalidPolicy, Policy, SHORTEST_LEASE};
use crate::core::receive_backoff::ReceiveFailure;
use crate::core::receives::{Receive, ReceiveId, Receives};
use crate::core::recollection::{Past, Recollection};
use crate::core::retry::{Jitter, MAX_VISIBILITY, RetryPolicy};
use crate::message::sqs_message::Message;

pub use dispositions::Disposition;
pub use drain::{DrainSummary, SETTLE_TIME};

/// What a host is to do. Each is carried out as it is; none holds a decision.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Run the handler of this delivery, and tell [`Ledger::ended`].
    Start(Start),
    /// Ask the run to stop: [`RunControl::cancel`](crate::RunControl::cancel).
    Cancel(DeliveryId, CancelReason),
    /// Make the run stop: [`RunControl::abort`](crate::RunControl::abort).
    Abort(DeliveryId),
    /// Open a receive, and tell [`Ledger::received`] or [`Ledger::receive_failed`].
    Receive(Receive),
    /// Pass this step to a run that waits for its claim: [`RunControl::claim_step`](crate::RunControl::claim_step).
    Claim(DeliveryId, ClaimStep),
    /// Renew this claim, and report to [`Ledger::claim_renewed`].
    RenewClaim {
        /// The delivery whose run holds it.
        delivery: DeliveryId,
        /// The claim.
        claim: Arc<Claim>,
        /// For how long, from now.
        length: Duration,
    },
    /// Mark the job of this claim as done, and report to [`Ledger::marked`]. May be asked for again before it is answered.
    Mark {
        /// The delivery whose run has succeeded.
        delivery: DeliveryId,
        /// Its claim.
        claim: Arc<Claim>,
        /// The result to keep.
        result: Option<JobResult>,
    },
    /// Release this claim of an ended run, and report to [`Ledger::claim_released`].
    ReleaseClaim {
        /// The delivery.
        delivery: DeliveryId,
        /// The claim.
        claim: Arc<Claim>,
        /// How the attempt counts.
        how: Surrender,
    },
    /// Make this call, and tell [`Ledger::called`].
    Call(Call),
    /// Record the final disposition of a message: a batch's response is made of these. Emitted exactly once for each
    /// delivery that has an outcome, and never before its run has ended.
    Finished {
        /// The delivery.
        delivery: DeliveryId,
        /// Its message.
        message: Arc<Message>,
        /// The permission for the host to delete the message, or the reason to keep it.
        disposition: Disposition,
    },
    /// Remember the latest state of a message, if the host outlives this ledger ([`Recollection::learn`]). At once and not at
    /// the ledger's end: SQS may redeliver the message to another ledger before.
    Remember {
        /// The message.
        message: Arc<Message>,
        /// Its state.
        past: Past,
    },
    /// Log or count this. No response and no settlement depends on a note: a host may drop them all.
    Note(Note),
}

/// A run to start.
#[derive(Debug, PartialEq)]
pub struct Start {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its message.
    pub message: Arc<Message>,
    /// Which attempt it is.
    pub attempt: NonZeroU32,
    /// When the ledger will cancel it.
    pub deadline: Instant,
    /// For how long its claim is to be asked for, where claims are kept.
    pub claim_length: Duration,
}

/// See the [module's documentation](self).
///
/// The loop of any host, whole:
///
/// ```
/// use std::time::{Duration, Instant};
/// use drumline::{Effect, Ending, Jitter, Ledger, Message, Policy, Report};
///
/// # fn main() -> Result<(), drumline::InvalidPolicy> {
/// # #[allow(clippy::disallowed_methods)]
/// let now = Instant::now();
/// let mut ledger = Ledger::new(Policy::new(Duration::from_secs(30)))?;
/// let mut to_receive = vec![Message { id: "m1".into(), receipt: "r1".into(), ..Message::default() }];
/// let mut deleted = 0;
/// ledger.tick(now);
/// while let Some(effect) = ledger.next_effect() {
///     match effect {
///         Effect::Receive(receive) => ledger.received(now, receive.id, std::mem::take(&mut to_receive)),
///         Effect::Start(start) => {
///             let report = Report::new(Ending::Done, None);
///             ledger.ended(now, start.delivery, report, Jitter::new(0));
///         }
///         Effect::Call(call) => {
///             deleted += call.action.deliveries().len();
///             ledger.called(now, call.id, vec![Ok(())], Jitter::new(0));
///         }
///         Effect::Cancel(..) | Effect::Abort(_) | Effect::Note(_) => {}
///         Effect::Finished { .. } | Effect::Remember { .. } => {}
///         Effect::Claim(..) | Effect::RenewClaim { .. } | Effect::Mark { .. } | Effect::ReleaseClaim { .. } => {
///             unreachable!("this host keeps no claims")
///         }
///     }
///     if deleted == 1 {
///         ledger.drain(now, Duration::from_secs(25));
///     }
///     ledger.tick(now);
/// }
/// assert_eq!(deleted, 1);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Ledger {
    policy: Policy,
    /// Boxed, because the map moves its entries about.
    deliveries: BTreeMap<DeliveryId, Box<Delivery>>,
    /// The deliveries of each message group, or of each message on a standard queue, in the order of their receipt. Every
    /// message is looked up here several times, hence the fast hash; nearly all lanes have one, hence the small vector.
    lanes: HashMap<Arc<str>, SmallVec<[DeliveryId; 2]>, RandomState>,
    /// Heads of lanes that may start.
    ready: VecDeque<DeliveryId>,
    isolation: Isolation,
    lock_waits: LockWaits,
    recollection: Recollection,
    receives: Option<Receives>,
    deletes: Batch,
    visibilities: Batch,
    copies: VecDeque<DeliveryId>,
    /// Messages on their way into the DLQ: their disposition depends on SQS's answer.
    copying: BTreeMap<DeliveryId, Arc<Message>>,
    settle_retry: RetryPolicy,
    calls: HashMap<CallId, answers::InAir, RandomState>,
    effects: VecDeque<Effect>,
    last_id: u64,
    waiting: usize,
    running: usize,
    /// No delivery needs looking at before this; a lower bound, made exact whenever it passes.
    next_check: Option<Instant>,
    draining: Option<drain::Drain>,
    drain_expected_at: Option<Instant>,
    pauses: Pauses,
}

impl Ledger {
    /// An empty ledger for one queue.
    pub fn new(policy: Policy) -> Result<Self, InvalidPolicy> {
        Self::recalling(policy, Recollection::default())
    }

    /// As [`new`](Self::new), with what an earlier ledger remembered: a Lambda function has one for each invocation.
    pub fn recalling(policy: Policy, recollection: Recollection) -> Result<Self, InvalidPolicy> {
        policy.check()?;
        let concurrency = policy.concurrency.get();
        let receives = policy.polling.map(|p| Receives::new(p.wait_time, concurrency));
        let receives = if policy.fifo { receives.map(Receives::large_from_the_start) } else { receives };
        let (deletes, visibilities) = (Batch::new(policy.lease), Batch::new(policy.lease));
        Ok(Self {
            policy,
            deliveries: BTreeMap::new(),
            lanes: HashMap::default(),
            ready: VecDeque::new(),
            isolation: Isolation::new(concurrency),
            lock_waits: LockWaits::default(),
            recollection,
            receives,
            deletes,
            visibilities,
            copies: VecDeque::new(),
            copying: BTreeMap::new(),
            settle_retry: answers::settle_retry(),
            calls: HashMap::default(),
            effects: VecDeque::new(),
            last_id: 0,
            waiting: 0,
            running: 0,
            next_check: None,
            draining: None,
            drain_expected_at: None,
            pauses: Pauses::default(),
        })
    }

    /// A receive was answered at `at`, with these messages.
    pub fn received(&mut self, at: Instant, receive: ReceiveId, messages: Vec<Message>) {
        let paced =
            self.receives.as_mut().is_some_and(|receives| receives.landed(at, receive, messages.len()));
        if paced {
            self.note(Note::EmptyAtOnce);
        }
        if messages.iter().any(|message| self.is_on_its_last_receives(message))
            && let Some(receives) = &mut self.receives
        {
            receives.brought_last_receives(at);
        }
        self.note(Note::Received(messages.len()));
        self.handed_in(at, messages);
    }

    /// Messages that nobody here asked for, such as those of a Lambda event, came at `at`.
    pub fn handed_in(&mut self, at: Instant, messages: Vec<Message>) {
        for message in messages {
            self.take_in(at, message);
        }
    }

    /// Opens no receive for `wait`, as SQS has asked for; at most for 30 seconds.
    pub fn hold_receives(&mut self, now: Instant, wait: Duration) {
        if let Some(receives) = &mut self.receives {
            receives.hold(now, wait);
        }
    }

    /// A receive failed for this kind of reason; the error says it in words.
    pub fn receive_failed(
        &mut self,
        now: Instant,
        receive: ReceiveId,
        failure: ReceiveFailure,
        error: String,
        jitter: Jitter,
    ) {
        let Some(receives) = &mut self.receives else { return };
        if let Some(retry_in) = receives.failed(now, receive, failure, jitter) {
            self.note(Note::ReceiveFailed { error, retry_in });
        }
    }

    /// Puts time in: what is due becomes an effect. Called after every input, and when the timeout has come.
    pub fn tick(&mut self, now: Instant) {
        self.check_due(now);
        self.tick_drain(now);
        self.tick_pauses(now);
        self.isolation.tick(now);
        self.start_ready(now);
        // What has waited here for twelve hours starts with no time left.
        self.check_due(now);
        // What left without a run may have been the next to ask for a lock.
        self.start_ready(now);
        self.flush(now);
        self.ask_for_messages(now);
    }

    /// What the host is to do next.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`tick`](Self::tick) at the latest; `None` where nothing will happen by itself.
    pub fn timeout(&self) -> Option<Instant> {
        if self.drained().is_some() {
            return None;
        }
        let receives = self.receives.as_ref().and_then(Receives::timeout);
        let drain = self.draining.as_ref().and_then(drain::Drain::timeout);
        let batches = [self.deletes.timeout(), self.visibilities.timeout()];
        let pauses = self.pauses.timeout();
        let times =
            batches.into_iter().chain([self.next_check, self.isolation.timeout(), receives, drain, pauses]);
        times.flatten().min()
    }

    /// How many more messages could be started: the free places.
    pub fn demand(&self) -> usize {
        if self.draining.is_some() || self.isolation.is_active() {
            return 0;
        }
        let most = if self.pauses.any() { usize::from(self.pauses.needs_fresh()) } else { usize::MAX };
        let places = self.policy.concurrency.get();
        // Settlements have room of their own, so that polling overlaps with them; when it is full, SQS is slow to
        // confirm, and more messages would only lose their leases here.
        let for_work = places.saturating_sub(self.waiting + self.running);
        // What waits for a lock is bounded by itself, and keeps no other message away.
        let in_all = (2 * places + self.lock_waits.parked()).saturating_sub(self.deliveries.len());
        for_work.min(in_all).min(most)
    }

    /// Deliveries in hand: waiting, running, or not yet confirmed.
    pub fn in_hand(&self) -> usize {
        self.deliveries.len()
    }

    /// Runs that have not ended.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Whether the queue can be reached and every receive ends in time.
    pub fn healthy(&self) -> bool {
        self.receives.as_ref().is_none_or(Receives::healthy)
    }

    /// Tells when a drain is to come, where that is known: handlers are told of it as their deadline.
    pub fn expect_drain(&mut self, at: Instant) {
        self.drain_expected_at = Some(at);
    }

    /// Tells how long leases are, where that was not known when the messages were handed in: theirs run from then on,
    /// and are renewed where they are too short. Kept within 1 s and 12 h.
    pub fn lease_is(&mut self, lease: Duration) {
        let lease = Duration::from_secs(lease.as_secs()).clamp(SHORTEST_LEASE, MAX_VISIBILITY);
        self.policy.lease = lease;
        for delivery in self.deliveries.values_mut() {
            delivery.lease_is(lease);
        }
        self.find_next_check();
    }

    /// The policy it decides by.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    fn ask_for_messages(&mut self, now: Instant) {
        let demand = if self.is_judging() { 0 } else { self.demand() };
        let Some(receives) = &mut self.receives else { return };
        for _ in 0..receives.tick(now) {
            self.effects.push_back(Effect::Note(Note::ReceiveOverdue));
        }
        while let Some(receive) = receives.next(now, demand, self.policy.concurrency.get()) {
            self.effects.push_back(Effect::Receive(receive));
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn note(&mut self, note: Note) {
        self.effects.push_back(Effect::Note(note));
    }

    /// Has the delivery looked at by `at`, where it has such a time.
    fn check_by(&mut self, at: Option<Instant>) {
        self.next_check = self.next_check.into_iter().chain(at).min();
    }
}

/// How long a cancelled handler has to return by itself before it is dropped.
pub const STOP_TIME: Duration = Duration::from_secs(1);
