//! Properties that hold at every moment, checked only by counting.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use drumline::core::{
    Acknowledge, Action, Call, Claims, DeadLetterPath, DeliveryId, Disposition, LedgerEvent, MAX_BATCH,
    Outcome, Ownership, PauseReason, Policy, PriorOutcome, Start,
};
use drumline::message::Message;

use crate::sqs::{Sqs, TWELVE_HOURS, index};

/// The time for which a pause keeps messages in hand that have not started.
const KEPT_IN_HAND: Duration = Duration::from_secs(60);

/// The time for which a message that was received ahead waits for a slot.
const AHEAD: Duration = Duration::from_secs(1);

/// The time for which a settlement waits for the answer to a renewal.
const HEARTBEAT_PATIENCE: Duration = Duration::from_secs(1);

/// No unanswered settlement is repeated before that, or a twelfth of the lease.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(1);

/// A failed settlement is not retried earlier, even beside one without an answer.
const FIRST_RETRY: Duration = Duration::from_millis(100);

/// The longest wait after a failed receive, for any cause.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

pub(crate) struct Watch {
    policy: Policy,
    started: HashSet<DeliveryId>,
    /// A message may run as the probe of a pause.
    probe_is_due: bool,
    /// A probe was due in this pause: a message may be received for the next one.
    probes: bool,
    /// Deliveries whose last run was not an attempt: they may run again.
    lacked: HashSet<DeliveryId>,
    decided: HashSet<DeliveryId>,
    finished: HashSet<DeliveryId>,
    /// Deliveries with an outcome whose disposition depends on a copy.
    copying: HashSet<DeliveryId>,
    running: HashMap<usize, DeliveryId>,
    /// Messages whose handler has succeeded in this process.
    pub(crate) done: HashSet<usize>,
    /// Messages whose copy is confirmed.
    pub(crate) moved: HashSet<usize>,
    /// Messages that failed permanently.
    pub(crate) failed_permanently: HashSet<usize>,
    /// The newest receipt of each message that was received here.
    newest: HashMap<usize, String>,
    received_at: HashMap<String, Instant>,
    /// The end of each receipt's lease, as far as this process was notified.
    leased_until: HashMap<String, Instant>,
    /// Receipts whose lease was reported as lost.
    lost: HashSet<String>,
    /// Deliveries of confirmed deletes.
    pub(crate) settled: HashSet<DeliveryId>,
    /// The unanswered calls of each delivery: the time of the request, and true if it renews the lease.
    in_flight: HashMap<DeliveryId, Vec<(Instant, bool)>>,
    /// Deliveries whose claims are being released, each with the time of the first request.
    releasing: HashMap<DeliveryId, Instant>,
    /// Deliveries of jobs that must be marked as done.
    needs_mark: HashSet<DeliveryId>,
    /// Deliveries for whose job the store has confirmed the mark, or refused it permanently.
    marked: HashSet<DeliveryId>,
    refused: HashSet<DeliveryId>,
    /// Deliveries whose claim belongs to another run, by the store's answer.
    claim_lost: HashSet<DeliveryId>,
    /// Messages that must be deleted without a mark.
    unmarked: HashSet<usize>,
    /// Deliveries without an outcome, waiting or running.
    pub(crate) undecided: usize,
    /// Deliveries that wait for a lock, or did before their last run.
    pub(crate) locked: HashSet<DeliveryId>,
    /// The most messages that have waited for locks since there were last as many messages in hand as without any lock.
    pub(crate) most_locked: Cell<usize>,
    pub(crate) drains: bool,
    /// The reasons to pause that hold, each with the time of its start.
    pub(crate) pauses: BTreeMap<PauseReason, Instant>,
    /// The start of the time in which one of them keeps messages in hand.
    kept_since: Option<Instant>,
    /// Messages that this episode of pauses has released.
    released: HashSet<usize>,
    /// The events that were seen at least once.
    pub(crate) seen: HashSet<&'static str>,
    /// Messages that earlier processes may have deleted for a reason.
    pub(crate) gone: HashSet<usize>,
}

impl Watch {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            started: HashSet::new(),
            probe_is_due: false,
            probes: false,
            lacked: HashSet::new(),
            decided: HashSet::new(),
            finished: HashSet::new(),
            copying: HashSet::new(),
            running: HashMap::new(),
            done: HashSet::new(),
            moved: HashSet::new(),
            failed_permanently: HashSet::new(),
            newest: HashMap::new(),
            received_at: HashMap::new(),
            leased_until: HashMap::new(),
            lost: HashSet::new(),
            settled: HashSet::new(),
            in_flight: HashMap::new(),
            releasing: HashMap::new(),
            needs_mark: HashSet::new(),
            marked: HashSet::new(),
            refused: HashSet::new(),
            claim_lost: HashSet::new(),
            unmarked: HashSet::new(),
            undecided: 0,
            locked: HashSet::new(),
            most_locked: Cell::new(0),
            drains: false,
            pauses: BTreeMap::new(),
            kept_since: None,
            released: HashSet::new(),
            seen: HashSet::new(),
            gone: HashSet::new(),
        }
    }

    /// The state for a new process. Only the fates of the messages remain.
    pub(crate) fn of_next_process(&mut self, policy: Policy) -> Self {
        let mut gone = std::mem::take(&mut self.gone);
        gone.extend(self.done.iter().chain(&self.moved));
        Self { gone, seen: std::mem::take(&mut self.seen), ..Self::new(policy) }
    }

    pub(crate) fn comes(&mut self, now: Instant, message: &Message) {
        self.undecided += 1;
        self.newest.insert(index(&message.id), message.receipt.clone());
        self.received_at.insert(message.receipt.clone(), now);
        self.leased_until.insert(message.receipt.clone(), now + self.policy.lease);
    }

    pub(crate) fn starts(&mut self, start: &Start, now: Instant, sqs: &Sqs) {
        let message = index(&start.message.id);
        assert!(!self.drains, "nothing starts during a drain");
        if self.kept_since.is_some() {
            let probes = std::mem::take(&mut self.probe_is_due);
            assert!(probes, "only a probe starts while a pause keeps it in hand, one for each that is due");
            self.seen.insert("probed");
        }
        assert!(self.started.insert(start.delivery), "a delivery runs once");
        let releasing = self.releasing.remove(&start.delivery);
        assert!(
            releasing.is_none_or(|since| since + Duration::from_secs(3) <= now),
            "its claim is free, or could not be released in time"
        );
        self.lacked.remove(&start.delivery);
        assert!(!self.decided.contains(&start.delivery), "no run starts after an outcome");
        assert!(
            self.running.insert(message, start.delivery).is_none(),
            "never two runs of m{message} at once"
        );
        assert!(self.running.len() <= self.policy.concurrency.get(), "no more runs than slots");
        assert!(!self.done.contains(&message), "m{message} is done and needs no other run");
        assert!(
            !self.failed_permanently.contains(&message),
            "m{message} failed permanently and needs no other run"
        );
        assert!(!self.policy.fifo || sqs.is_first_of_group(message), "m{message} overtakes in its group");
        let receipt = &self.newest[&message];
        assert!(now < self.leased_until[receipt], "the lease of {receipt} is over");
        assert!(start.deadline <= self.received_at[receipt] + TWELVE_HOURS, "no job may run longer");
        assert!(start.claim_length < self.policy.lease, "the claim is free when the message is redelivered");
    }

    /// A run has returned, with success or without.
    pub(crate) fn ends(&mut self, message: usize, success: bool) {
        assert!(self.running.remove(&message).is_some());
        if success {
            self.done.insert(message);
        }
    }

    /// A run was not an attempt, for this reason: the queue is paused, and the delivery may run again.
    pub(crate) fn is_no_attempt(&mut self, delivery: DeliveryId, reason: PauseReason, now: Instant) {
        self.started.remove(&delivery);
        self.lacked.insert(delivery);
        if !self.pauses.contains_key(&reason) {
            self.pause(reason, now);
        }
    }

    /// A run ended because its lock is held: the delivery may run again.
    pub(crate) fn is_locked(&mut self, delivery: DeliveryId) {
        self.started.remove(&delivery);
        self.locked.insert(delivery);
    }

    /// Returns true if the delivery waits for another run after one that lacked resources.
    pub(crate) fn is_kept(&self, delivery: DeliveryId) -> bool {
        self.lacked.contains(&delivery)
    }

    /// The store answers that the claim of a run belongs to another run.
    pub(crate) fn claim_is_lost(&mut self, delivery: DeliveryId) {
        self.claim_lost.insert(delivery);
    }

    /// Checks a run that is stopped because its lease or its claim is lost: SQS, time or the store has reported it, and it was
    /// not an outage.
    pub(crate) fn may_be_cancelled(&self, delivery: DeliveryId, message: usize) {
        let lease_lost = self.lost.contains(&self.newest[&message]);
        assert!(lease_lost || self.claim_lost.contains(&delivery), "m{message} has its lease and its claim");
    }

    /// A handler has succeeded with a claim.
    pub(crate) fn needs_mark(&mut self, delivery: DeliveryId) {
        self.needs_mark.insert(delivery);
    }

    /// The store answers a mark.
    pub(crate) fn mark_is_answered(
        &mut self,
        delivery: DeliveryId,
        held: &Result<Ownership, String>,
        refuses: bool,
    ) {
        match held {
            Ok(Ownership::Kept) => drop(self.marked.insert(delivery)),
            Ok(Ownership::Lost) => drop(self.claim_lost.insert(delivery)),
            Err(_) if refuses => drop(self.refused.insert(delivery)),
            Err(_) => {}
        }
    }

    pub(crate) fn is_refused(&self, delivery: DeliveryId) -> bool {
        self.refused.contains(&delivery)
    }

    pub(crate) fn releases(&mut self, delivery: DeliveryId, now: Instant) {
        self.releasing.entry(delivery).or_insert(now);
    }

    pub(crate) fn released(&mut self, delivery: DeliveryId) {
        self.releasing.remove(&delivery);
    }

    pub(crate) fn calls(&mut self, call: &Call, now: Instant) {
        let deliveries = call.action.deliveries();
        assert!((1..=MAX_BATCH).contains(&deliveries.len()));
        for delivery in deliveries {
            let patience = Duration::from_secs(if self.drains { 1 } else { 3 });
            let since = self.releasing.get(&delivery);
            assert!(
                since.is_none_or(|since| *since + patience <= now),
                "the claim of {delivery:?} is not free yet"
            );
            let renews =
                matches!(call.action, Action::ChangeVisibility(_)) && !self.finished.contains(&delivery);
            let in_flight = self.in_flight.entry(delivery).or_default();
            let copies = matches!(call.action, Action::DeadLetter { .. });
            for (asked_at, renewal) in &*in_flight {
                // No delete and no backoff is sent before the answer to a renewal, for a second. A call without an answer is
                // repeated, but never at once.
                let patience = match (renewal, renews) {
                    (true, false) => HEARTBEAT_PATIENCE,
                    (true, true) => self.policy.lease / 30,
                    // A drain starts with another try.
                    (false, false) if self.drains => Duration::ZERO,
                    (false, false) if !copies => {
                        SHORTEST_PATIENCE.min(self.policy.lease / 12).min(FIRST_RETRY)
                    }
                    (false, _) => {
                        panic!("{delivery:?} is not renewed beside its settlement, nor copied twice")
                    }
                };
                assert!(*asked_at + patience <= now, "{:?} is too soon for {delivery:?}", now - *asked_at);
            }
            in_flight.push((now, renews));
        }
        match &call.action {
            Action::Delete(entries) => {
                assert_eq!(self.policy.acknowledge, Acknowledge::ByDelete);
                for entry in entries {
                    let message = index(&entry.receipt);
                    let safe = self.done.contains(&message) || self.moved.contains(&message);
                    assert!(safe, "m{message} is deleted, but neither done nor moved");
                    if !self.drains {
                        self.uses(&entry.receipt, now);
                    }
                }
            }
            Action::ChangeVisibility(entries) => {
                for entry in entries {
                    self.uses(&entry.receipt, now);
                    let until = now + Duration::from_secs(u64::from(entry.visibility_secs));
                    assert!(until <= self.received_at[&entry.receipt] + TWELVE_HOURS);
                }
            }
            Action::DeadLetter { message, .. } => {
                let message = index(&message.id);
                assert_eq!(self.policy.dead_letter, DeadLetterPath::Copy);
                assert!(self.failed_permanently.contains(&message), "m{message} has not failed permanently");
                assert!(!self.moved.contains(&message), "m{message} is in the DLQ already");
            }
        }
    }

    fn uses(&self, receipt: &String, now: Instant) {
        assert!(!self.lost.contains(receipt), "no call uses {receipt} after its lease was lost");
        assert!(now < self.leased_until[receipt], "the lease of {receipt} is over");
        assert_eq!(receipt, &self.newest[&index(receipt)], "the newest receipt counts");
    }

    /// A call was answered; the time is that of its request.
    pub(crate) fn answered(&mut self, call: &Call, asked_at: Instant, results: &[bool]) {
        for delivery in call.action.deliveries() {
            let in_flight = self.in_flight.get_mut(&delivery).expect("the call was requested");
            in_flight.retain(|(at, _)| *at != asked_at);
        }
        if let Action::Delete(_) = &call.action {
            let deliveries = call.action.deliveries().into_iter();
            self.settled.extend(deliveries.zip(results).filter(|(_, ok)| **ok).map(|(delivery, _)| delivery));
        }
        for (position, ok) in results.iter().enumerate().filter(|(_, ok)| **ok) {
            debug_assert!(ok);
            match &call.action {
                Action::ChangeVisibility(entries) => {
                    let entry = &entries[position];
                    let until = asked_at + Duration::from_secs(u64::from(entry.visibility_secs));
                    let known = self.leased_until.get_mut(&entry.receipt).unwrap();
                    *known = until.max(*known);
                }
                Action::DeadLetter { message, .. } => {
                    self.moved.insert(index(&message.id));
                }
                Action::Delete(_) => {}
            }
        }
    }

    pub(crate) fn notes(&mut self, note: &LedgerEvent) {
        self.seen.insert(name(note));
        match note {
            LedgerEvent::Decided { delivery, outcome, run, .. } => {
                assert!(self.decided.insert(*delivery), "one outcome each");
                let ran = self.started.contains(delivery);
                let waited = self.lacked.contains(delivery) || self.locked.contains(delivery);
                assert!(run.is_some() == ran || waited, "every ended run has a report");
                self.undecided -= 1;
                self.locked.remove(delivery);
                if !self.finished.contains(delivery) {
                    let copied = self.policy.dead_letter == DeadLetterPath::Copy;
                    assert!(
                        copied && matches!(outcome, Outcome::DeadLetter(_)),
                        "only a copy delays the disposition"
                    );
                    self.copying.insert(*delivery);
                }
            }
            LedgerEvent::ReceivedAgain(_) => self.undecided -= 1,
            LedgerEvent::Unmarked { message, .. } => drop(self.unmarked.insert(index(&message.id))),
            LedgerEvent::ReceiveFailed { retry_in, .. } => assert!(*retry_in <= LONGEST_BACKOFF),
            LedgerEvent::LeaseLost(message) => {
                let newest = self.newest[&index(&message.id)].clone();
                assert!(self.lost.insert(newest), "a lease is lost once");
            }
            _ => {}
        }
    }

    /// A probe of the target is due.
    pub(crate) fn probes(&mut self) {
        self.probe_is_due = true;
        self.probes |= self.pauses.contains_key(&PauseReason::TargetUnhealthy);
    }

    /// Returns true if a message may be received in a pause, as a probe.
    pub(crate) fn may_receive_probe(&self) -> bool {
        self.probes && self.pauses.keys().eq([&PauseReason::TargetUnhealthy])
    }

    /// A reason to pause starts to hold.
    pub(crate) fn pause(&mut self, reason: PauseReason, now: Instant) {
        self.pauses.insert(reason, now);
        if reason.keeps_in_hand().is_some() {
            self.kept_since.get_or_insert(now);
        }
    }

    /// A reason to pause ends.
    pub(crate) fn resume(&mut self, reason: PauseReason) {
        self.pauses.remove(&reason);
        if reason == PauseReason::TargetUnhealthy {
            (self.probe_is_due, self.probes) = (false, false);
        }
        if self.pauses.keys().all(|reason| reason.keeps_in_hand().is_none()) {
            self.kept_since = None;
        }
        if self.pauses.is_empty() {
            self.released.clear();
        }
    }

    /// A message is released without a run, and only a pause, or jobs that keep their slots, can be the cause.
    pub(crate) fn is_released(&mut self, message: &Message, is_busy: bool, now: Instant) {
        let received_at = self.received_at[&message.receipt];
        let max_receives = self.policy.receives.at_most().map_or(u32::MAX, NonZeroU32::get);
        let message_receives = message.receive_count;
        let message = index(&message.id);
        let Some(since) = self.kept_since else {
            self.seen.insert("received ahead in vain");
            assert!(is_busy && received_at + AHEAD <= now, "m{message} waits for a slot for a second");
            return assert!(message_receives < max_receives, "m{message} would be in the DLQ");
        };
        assert!(now >= since + KEPT_IN_HAND, "m{message} is kept for its time");
        self.seen.insert("released by a pause");
        assert!(self.released.insert(message), "m{message} is released once in an episode");
    }

    /// A message has its final disposition.
    pub(crate) fn finishes(
        &mut self,
        delivery: DeliveryId,
        message: &Message,
        disposition: Disposition,
        is_marked: bool,
    ) {
        assert!(self.finished.insert(delivery), "one disposition for each delivery");
        self.copying.remove(&delivery);
        let message = index(&message.id);
        if disposition.may_be_deleted() {
            let safe = self.done.contains(&message) || self.moved.contains(&message);
            assert!(safe, "m{message} may be deleted, but is neither done nor moved");
        }
        if self.needs_mark.contains(&delivery) && disposition == Disposition::Done {
            assert!(!self.claim_lost.contains(&delivery), "the claim of m{message} belongs to another run");
            let is_unmarked = self.refused.contains(&delivery)
                || self.drains
                || self.policy.claims == Claims::BestEffort
                || self.unmarked.contains(&message);
            assert!(is_marked || is_unmarked, "m{message} is deleted without its mark");
            if self.marked.contains(&delivery) {
                self.seen.insert("marked");
            }
        }
        if disposition.failed_permanently() {
            assert!(self.failed_permanently.contains(&message), "m{message} has not failed permanently");
        }
    }

    /// Checks what a host that outlives the ledger must remember.
    pub(crate) fn remembers(&mut self, message: &Message, prior: &PriorOutcome) {
        if let PriorOutcome::FailedPermanently(_) = prior {
            self.failed_permanently.insert(index(&message.id));
        }
    }

    /// The number of deliveries with an outcome whose disposition waits for a copy's answer.
    pub(crate) fn unfinished(&self) -> usize {
        self.copying.len()
    }

    /// Checks that each delivery with an outcome has a disposition, unless its copy is being made.
    pub(crate) fn all_finished(&self) {
        assert_eq!(self.finished.len() + self.copying.len(), self.decided.len());
    }

    /// The number of deliveries that were started and have no outcome.
    pub(crate) fn unended(&self) -> usize {
        self.started.difference(&self.decided).count()
    }
}

fn name(note: &LedgerEvent) -> &'static str {
    match note {
        LedgerEvent::Decided { outcome, .. } => outcome.label(),
        LedgerEvent::Refused { .. } => "refused",
        LedgerEvent::Settled(_) => "settled",
        LedgerEvent::Unsettled { .. } => "unsettled",
        LedgerEvent::CallFailed { .. } => "call failed",
        LedgerEvent::Deduplicated { .. } => "done before",
        LedgerEvent::ReceivedAgain(_) => "received again",
        LedgerEvent::Moved(_) => "moved",
        LedgerEvent::NoDeadLetterQueue(_) => "no DLQ",
        LedgerEvent::Renewed(_) => "renewed",
        LedgerEvent::RenewalFailed { .. } => "not renewed",
        LedgerEvent::LeaseLost(_) => "lease lost",
        LedgerEvent::ClaimRenewalFailed { .. } => "claim not renewed",
        LedgerEvent::ClaimLost(_) => "claim lost",
        LedgerEvent::RunsUnclaimed(_) => "runs unclaimed",
        LedgerEvent::MarkFailed { .. } => "not marked",
        LedgerEvent::ResultRefused { .. } => "result refused",
        LedgerEvent::Unmarked { .. } => "unmarked",
        LedgerEvent::ClaimNotReleased(_) => "claim not released",
        LedgerEvent::WaitsForLock { .. } => "waits for a lock",
        LedgerEvent::WaitsForLimit { .. } => "waits for a limit",
        LedgerEvent::HeldForLimit { .. } => "held for a limit",
        LedgerEvent::Isolated(_) => "isolated",
        LedgerEvent::Stalled { .. } => "stalled",
        LedgerEvent::KeptInHand { .. } => "kept in hand",
        LedgerEvent::Received { .. } => "received",
        LedgerEvent::EmptyAtOnce => "empty at once",
        LedgerEvent::ReceiveFailed { .. } => "receive failed",
        LedgerEvent::Paused(_) => "paused",
        LedgerEvent::Resumed { .. } => "resumed",
        LedgerEvent::ReceiveOverdue => "receive overdue",
        other => panic!("a note without a name: {other:?}"),
    }
}
