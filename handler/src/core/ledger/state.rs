//! The state of a ledger, its public properties, and its construction.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::cancelled::CancelledMessages;
use super::deliveries::Deliveries;
use super::drain_plan::Drain;
use super::effect::Effect;
use super::in_flight::InFlight;
use super::pool_share::PoolShare;
use crate::core::batches::Batch;
use crate::core::earliest::earliest;
use crate::core::hidden::HiddenMessages;
use crate::core::ids::{CallId, DeliveryId};
use crate::core::ledger_event::LedgerEvent;
use crate::core::limited_receives::LimitedReceives;
use crate::core::limits::{HeldMessages, Limits, WaitReports};
use crate::core::lock_waits::LockWaits;
use crate::core::lookahead::Lookahead;
use crate::core::outcome_cache::OutcomeCache;
use crate::core::pause::Pauses;
use crate::core::policy::{InvalidPolicy, Policy};
use crate::core::quarantine::Quarantine;
use crate::core::receives::Receives;
use crate::core::retry::{JitterMode, RetryPolicy};
use crate::message::sqs_message::Message;

/// Every delivery in hand, from its receipt to its settlement, for any host.
///
/// It performs nothing. A host reports what happened ([`received`](Self::received), [`ended`](Self::ended),
/// [`called`](Self::called), [`drain`](Self::drain)), calls [`tick`](Self::tick), carries out the
/// [`effects`](Self::next_effect), and calls `tick` again at the [`timeout`](Self::timeout) at the latest.
///
/// Invariants, each a property test: every delivery ends in exactly one outcome, or is reported as abandoned; a message
/// is deleted only after its handler's success or a confirmed copy in the DLQ; at most `concurrency` runs at once; at most that
/// many deliveries wait or run, or twice as many while jobs are short, and as many again wait for SQS to confirm them; no call is made for a lease that has ended; within a
/// lane nothing starts before its predecessor is settled; a lost reply holds a place no longer than its lease.
///
/// The complete loop of any host:
///
/// ```
/// use std::time::{Duration, Instant};
/// use drumline::core::{Effect, Ending, Jitter, Ledger, Policy, RunReport};
/// use drumline::message::Message;
///
/// # fn main() -> Result<(), drumline::core::InvalidPolicy> {
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
///             let report = RunReport::new(Ending::Done, None);
///             ledger.ended(now, start.delivery, report, Jitter::new(0));
///         }
///         Effect::Call(call) => {
///             deleted += call.action.deliveries().len();
///             ledger.called(now, call.id, vec![Ok(())], Jitter::new(0));
///         }
///         Effect::Cancel(..) | Effect::Abort(_) | Effect::Event(_) => {}
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
    pub(super) policy: Policy,
    pub(super) deliveries: Deliveries,
    /// The deliveries of each message group, or of each message on a standard queue, in the order of their receipt. Every
    /// message is looked up here several times, hence the fast hash; nearly all lanes have one, hence the small vector.
    pub(super) lanes: HashMap<Arc<str>, SmallVec<[DeliveryId; 2]>, RandomState>,
    /// Heads of lanes that may start.
    pub(super) ready: VecDeque<DeliveryId>,
    pub(super) quarantine: Quarantine,
    pub(super) lock_waits: LockWaits,
    /// The messages that are received before there are slots for them.
    pub(super) lookahead: Lookahead,
    pub(super) limits: Option<Limits>,
    /// The messages that wait for their limits.
    pub(super) held: HeldMessages,
    pub(super) limited_receives: LimitedReceives,
    pub(super) waits: WaitReports,
    pub(super) outcome_cache: OutcomeCache,
    pub(super) hidden: HiddenMessages,
    pub(super) cancelled: CancelledMessages,
    pub(super) receives: Option<Receives>,
    pub(super) deletes: Batch,
    pub(super) visibilities: Batch,
    pub(super) copies: VecDeque<DeliveryId>,
    /// Messages on their way into the DLQ: their disposition depends on SQS's answer.
    pub(super) copying: BTreeMap<DeliveryId, Arc<Message>>,
    pub(super) settle_retry: RetryPolicy,
    pub(super) calls: HashMap<CallId, InFlight, RandomState>,
    pub(super) effects: VecDeque<Effect>,
    pub(super) last_id: u64,
    pub(super) waiting: usize,
    pub(super) running: usize,
    /// The time before which no delivery needs a check: a lower bound, made exact whenever it passes.
    pub(super) next_check: Option<Instant>,
    pub(super) draining: Option<Drain>,
    pub(super) drain_expected_at: Option<Instant>,
    pub(super) pauses: Pauses,
    /// Its share of the slots of its process, if they are shared.
    pub(super) pool: Option<PoolShare>,
}

impl Ledger {
    /// Makes an empty ledger for one queue.
    pub fn new(policy: Policy) -> Result<Self, InvalidPolicy> {
        Self::recalling(policy, OutcomeCache::default())
    }

    /// Like [`new`](Self::new), with the memory of an earlier ledger: a Lambda function has one for each invocation.
    pub fn recalling(policy: Policy, outcome_cache: OutcomeCache) -> Result<Self, InvalidPolicy> {
        policy.check()?;
        let concurrency = policy.concurrency.get();
        let receives = policy.polling.map(|p| Receives::new(p.wait_time, concurrency));
        let receives = if policy.fifo { receives.map(Receives::large_from_the_start) } else { receives };
        let (deletes, visibilities) = (Batch::new(policy.lease), Batch::new(policy.lease));
        Ok(Self {
            policy,
            deliveries: Deliveries::default(),
            lanes: HashMap::default(),
            ready: VecDeque::new(),
            quarantine: Quarantine::new(concurrency),
            lock_waits: LockWaits::default(),
            lookahead: Lookahead::default(),
            limits: None,
            held: HeldMessages::default(),
            limited_receives: LimitedReceives::default(),
            waits: WaitReports::default(),
            outcome_cache,
            hidden: HiddenMessages::default(),
            cancelled: CancelledMessages::default(),
            receives,
            deletes,
            visibilities,
            copies: VecDeque::new(),
            copying: BTreeMap::new(),
            settle_retry: settle_retry(),
            calls: HashMap::default(),
            effects: VecDeque::new(),
            last_id: 0,
            waiting: 0,
            running: 0,
            next_check: None,
            draining: None,
            drain_expected_at: None,
            pauses: Pauses::default(),
            pool: None,
        })
    }

    /// Has it start jobs that wait for these limits once they may: the limits that give runs their permits, with the [same
    /// handle](Limits::for_queue).
    pub fn set_limits(&mut self, limits: Limits) {
        self.waits.set_limits(limits.clone());
        self.limits = Some(limits);
    }

    /// Returns the number of deliveries in hand: waiting, running, or not yet confirmed.
    pub fn in_hand(&self) -> usize {
        self.deliveries.len()
    }

    /// Returns the number of runs that have not ended.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Returns true while a receive is open that may still return messages, also in a pause.
    pub fn is_receiving(&self) -> bool {
        self.receives.as_ref().is_some_and(Receives::any_open)
    }

    /// Returns true if the queue is reachable and every receive ends in time.
    pub fn healthy(&self) -> bool {
        self.receives.as_ref().is_none_or(Receives::healthy)
    }

    /// Returns the policy of its decisions.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn emit(&mut self, event: LedgerEvent) {
        self.effects.push_back(Effect::Event(event));
    }

    /// Has the ledger checked by `at`, if there is such a time. Must be called with every time of a delivery that is set or moved
    /// earlier. A time that is known already does no harm.
    pub(super) fn check_by(&mut self, at: Option<Instant>) {
        self.next_check = earliest([self.next_check, at]);
    }
}

/// The delays of failed settlements: several tries fit into the shortest reasonable lease, and a throttled queue is not
/// pressed.
fn settle_retry() -> RetryPolicy {
    let policy = RetryPolicy::exponential(Duration::from_millis(200), 2.0, Duration::from_secs(5));
    policy.expect("the numbers are in order").with_jitter(JitterMode::Equal)
}
