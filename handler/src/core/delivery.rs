//! One receipt of a message: the message, its lease, and its progress.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::claim::{Claim, ReleaseClaim};
use crate::core::claim_lease::{RunClaim, Waits};
use crate::core::control::CancelReason;
use crate::core::earliest::earliest;
use crate::core::ids::CallId;
use crate::core::limits::{Hold, Permit};
use crate::core::lock_waits::LockWait;
use crate::core::marking::Marking;
use crate::core::retry::MAX_VISIBILITY;
use crate::message::identity::Identity;
use crate::message::sqs_message::Message;

/// SQS counts its twelve hours from its own receipt, and refuses a longer visibility instead of clamping it, so requests are
/// always shorter by this time.
const LONGEST_HOLD: Duration = Duration::from_secs(MAX_VISIBILITY.as_secs() - 5);

/// A lease counts as lost this much before its end, or a tenth of it if that is shorter: the handler is notified while no other
/// worker can have the message.
const LOST_MARGIN: Duration = Duration::from_secs(1);

/// A job is asked to end half a minute before the twelve hours are over, to have time for it.
const LONGEST_RUN: Duration = Duration::from_secs(LONGEST_HOLD.as_secs() - 30);

/// SQS counts visibility in whole seconds: a renewal that gains less is not worth a request.
const SMALLEST_GAIN: Duration = Duration::from_secs(1);

/// A settlement is repeated after this time at the latest, for any lease: SQS answers in milliseconds.
const LONGEST_PATIENCE: Duration = Duration::from_secs(5);

/// The maximum number of times that this time is doubled while calls are not answered.
const MOST_DOUBLINGS: u32 = 6;

/// No settlement is repeated earlier, or earlier than a twelfth of the lease if that is shorter.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(1);

/// The time for which a call about a lease of this length may stay unanswered before it is repeated: a sixth, so that a renewal
/// at the lease's half is repeated twice before its end.
fn patience(lease: Duration) -> Duration {
    lease / 6
}

#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Arc<Message>,
    /// The receipt of a later delivery of the same message, which is the valid one.
    pub(crate) newer_receipt: Option<String>,
    /// The last call that can be about an older receipt.
    superseded_after: Option<CallId>,
    pub(crate) lane: Arc<str>,
    received_at: Instant,
    lease: Duration,
    leased_until: Instant,
    /// The time from which the lease counts as lost.
    lost_at: Instant,
    /// The lease ends so close to the twelve hours that a renewal would gain too little.
    is_last_lease: bool,
    renew_at: Instant,
    /// Renewals in flight. The next change of the visibility waits for their answers, but not for long.
    renewals: u32,
    /// The release of the claim, which must be done before the message goes to another worker.
    pub(crate) releasing: Option<Box<Releasing>>,
    pub(crate) stage: Stage,
    /// The number of its runs that were not attempts, and after which it stayed in hand.
    pub(crate) kept_runs: u8,
    /// The number of its runs that were throttled.
    pub(crate) throttled_runs: u8,
    /// The number of its runs as the probe of a pause.
    pub(crate) probes: u32,
    /// Its wait for a lock, until it has the lock or leaves.
    pub(crate) lock_wait: Option<Box<LockWait>>,
    /// Its wait for a limit, until it starts or leaves.
    pub(crate) held: Option<Box<Hold>>,
    /// The permit that it has while it waits to run alone.
    pub(crate) permit: Option<Permit>,
    /// The receives of its message, including the newest one.
    pub(crate) receives: u32,
    /// The reason for which an operator has cancelled its run.
    pub(crate) cancelled_for: Option<Arc<str>>,
    /// The identity of its job, once a run has computed it.
    pub(crate) identity: Option<Arc<Identity>>,
    /// The time for which it stays hidden if it is released without a run.
    pub(crate) hidden_for: Duration,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a delivery is boxed as a whole, and most of them run")]
pub(crate) enum Stage {
    Waiting,
    Running(Run),
    Settling(Settling),
}

#[derive(Debug)]
pub(crate) struct Run {
    /// The time at which it took its slot.
    pub(crate) begun_at: Instant,
    pub(crate) started_at: Instant,
    /// The timeout of its type, once the type is known.
    pub(crate) timeout: Duration,
    pub(crate) deadline: Instant,
    pub(crate) cancelled: Option<CancelReason>,
    pub(crate) abort_at: Option<Instant>,
    /// The lease or the claim is lost.
    pub(crate) lost: bool,
    /// It has waited for a limit, and started while open receives may still return messages for its slot.
    pub(crate) was_held: bool,
    /// Its claim.
    pub(crate) claim: RunClaim,
    /// The handler has succeeded, and the job is being marked as done.
    pub(crate) marking: Option<Box<Marking>>,
}

/// The claim of an ended run, while it is being released.
#[derive(Debug)]
pub(crate) struct Releasing {
    pub(crate) claim: Arc<Claim>,
    pub(crate) how: ReleaseClaim,
    /// The time of the next request to the store.
    pub(crate) again_at: Option<Instant>,
    /// The time at which the message is released anyway: the claim ends by itself, a little later.
    pub(crate) give_up_at: Instant,
    pub(crate) waits: Waits,
}

#[derive(Debug)]
pub(crate) struct Settling {
    pub(crate) settlement: Settlement,
    pub(crate) step: Step,
    pub(crate) tries: u32,
    /// Its calls without an answer.
    pub(crate) calls: u32,
    /// The time at which its call is repeated if it is not answered by then.
    pub(crate) repeat_at: Option<Instant>,
    /// The time until which a response waits for it, if one does.
    pub(crate) give_up_at: Option<Instant>,
    /// The time until which it waits for the answers to renewals.
    pub(crate) heartbeat_until: Option<Instant>,
    /// The time from which the queue may deliver the message again, if SQS carried out one of the calls, with any answer.
    pub(crate) visible_from: Option<Instant>,
    /// The lease has ended during a drain, and the delete is still retried.
    pub(crate) past_lease: bool,
}

impl Settling {
    pub(crate) fn new(settlement: Settlement) -> Self {
        Self {
            settlement,
            step: Step::Queued,
            tries: 0,
            calls: 0,
            repeat_at: None,
            give_up_at: None,
            heartbeat_until: None,
            visible_from: None,
            past_lease: false,
        }
    }
}

/// The call to make to SQS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settlement {
    Delete,
    Visibility(Duration),
    /// A copy into the DLQ with this reason, then `Delete`.
    Copy(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// For the answers to renewals, a second at most, and for the release of the claim.
    AfterHeartbeat,
    /// For the end of the open receives, which would fetch it immediately.
    Deferred,
    /// For its batch.
    Queued,
    /// For the answer.
    InCall,
    /// For the next try.
    Backoff(Instant),
}

impl Delivery {
    pub(crate) fn new(message: Arc<Message>, lane: Arc<str>, lease: Duration, at: Instant) -> Self {
        let receives = message.receive_count;
        let mut delivery = Self {
            message,
            newer_receipt: None,
            superseded_after: None,
            lane,
            received_at: at,
            lease,
            leased_until: at,
            lost_at: at,
            is_last_lease: false,
            renew_at: at,
            renewals: 0,
            releasing: None,
            stage: Stage::Waiting,
            kept_runs: 0,
            throttled_runs: 0,
            probes: 0,
            lock_wait: None,
            held: None,
            permit: None,
            receives,
            cancelled_for: None,
            identity: None,
            hidden_for: Duration::ZERO,
        };
        delivery.set_lease(lease);
        delivery
    }

    /// Sets the length of the lease, which runs from the receipt.
    pub(crate) fn set_lease(&mut self, lease: Duration) {
        self.lease = lease;
        self.renew_at = self.received_at + lease / 2;
        self.set_leased_until(self.received_at + lease);
    }

    /// Sets the end of the lease, and the times that follow from it: they are needed far more often than they change.
    fn set_leased_until(&mut self, until: Instant) {
        let margin = LOST_MARGIN.min(self.lease / 10);
        self.leased_until = until;
        self.lost_at = until.checked_sub(margin).unwrap_or(until);
        self.is_last_lease = until + SMALLEST_GAIN > self.total_end();
    }

    /// Returns the time from which on the lease counts as lost.
    pub(crate) fn lost_at(&self) -> Instant {
        self.lost_at
    }

    /// The same message was received again: its new receipt and lease replace the old ones.
    pub(crate) fn superseded(&mut self, receipt: String, receives: u32, at: Instant, last_call: CallId) {
        self.newer_receipt = Some(receipt);
        self.receives = self.receives.max(receives);
        self.superseded_after = Some(last_call);
        self.received_at = at;
        self.set_lease(self.lease);
        if let Stage::Settling(settling) = &mut self.stage {
            (settling.past_lease, settling.visible_from) = (false, None);
        }
    }

    /// Returns true if a receipt at `at` shows that SQS has carried out the change of the visibility.
    pub(crate) fn is_back(&self, at: Instant) -> bool {
        matches!(self.stage, Stage::Settling(Settling { visible_from: Some(visible), .. }) if visible <= at)
    }

    pub(crate) fn receipt(&self) -> &str {
        self.newer_receipt.as_deref().unwrap_or(&self.message.receipt)
    }

    /// Requests its settlement, for which a response waits this long. Returns true if it waited for its call.
    pub(crate) fn settlement_asked(&mut self, now: Instant, within: Option<Duration>) -> bool {
        let (lost_at, patience) = (self.lost_at, patience(self.lease).min(LONGEST_PATIENCE));
        let shortest = SHORTEST_PATIENCE.min(self.lease / 12);
        let Stage::Settling(settling) = &mut self.stage else { return false };
        if settling.step != Step::Queued {
            return false;
        }
        match settling.settlement {
            Settlement::Delete | Settlement::Copy(_) => {}
            Settlement::Visibility(visibility) => {
                let from = now + visibility;
                settling.visible_from = Some(settling.visible_from.map_or(from, |known| known.min(from)));
                settling.give_up_at = settling.give_up_at.or(within.map(|within| now + within));
            }
        }
        // It is repeated before its time is over, and later the more of its calls are not answered.
        let patience = patience * (1 << settling.calls.min(MOST_DOUBLINGS));
        let left = settling.give_up_at.unwrap_or(lost_at).min(lost_at).saturating_duration_since(now);
        let patience = if left.is_zero() { patience } else { patience.min(left / 2) };
        // If a copy were sent twice, it would be in the DLQ twice.
        let repeats = patience >= shortest && !matches!(settling.settlement, Settlement::Copy(_));
        settling.repeat_at = repeats.then_some(now + patience);
        settling.step = Step::InCall;
        settling.calls += 1;
        true
    }

    /// The longest visibility that can still be requested at `now`, within the twelve hours.
    pub(crate) fn longest_visibility(&self, now: Instant) -> Duration {
        self.total_end().saturating_duration_since(now)
    }

    fn total_end(&self) -> Instant {
        self.received_at + LONGEST_HOLD
    }

    pub(crate) fn deadline(&self, now: Instant, handler_timeout: Duration) -> Instant {
        let total = self.last_moment();
        now.checked_add(handler_timeout).map_or(total, |deadline| deadline.min(total))
    }

    /// The time at which a run must end, so that its message can be settled within the twelve hours.
    pub(crate) fn last_moment(&self) -> Instant {
        self.received_at + LONGEST_RUN
    }

    /// The latest time at which it is released to its queue, if it is held for a limit.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        let held = self.held.as_ref()?;
        Some(held.until.map_or(self.last_moment(), |until| until.min(self.last_moment())))
    }

    /// Returns true if the end of its lease was handled, in any stage.
    pub(crate) fn is_past_lease(&self) -> bool {
        self.is_lost() || matches!(self.stage, Stage::Settling(Settling { past_lease: true, .. }))
    }

    /// Returns true if it could start with a slot.
    pub(crate) fn waits_for_slot(&self) -> bool {
        matches!(self.stage, Stage::Waiting)
            && self.lock_wait.is_none()
            && self.held.is_none()
            && self.releasing.is_none()
    }

    pub(crate) fn is_lost(&self) -> bool {
        matches!(self.stage, Stage::Running(Run { lost: true, .. }))
    }

    /// The time at which it needs a renewal, or another one beside those without an answer; `None` if none follows.
    pub(crate) fn renewal_due(&self) -> Option<Instant> {
        let beats = match &self.stage {
            // Not while its claim is being released, because that must not last: a lost answer holds a slot for a lease.
            Stage::Waiting => self.releasing.is_none(),
            Stage::Running(run) => !run.lost,
            Stage::Settling(_) => false,
        };
        // Within the last of the twelve hours there is no time left to request.
        (beats && !self.is_last_lease).then_some(self.renew_at)
    }

    /// Returns true if a call was about a receipt that has been replaced since.
    pub(crate) fn is_superseded_since_call(&self, call: CallId) -> bool {
        self.superseded_after.is_some_and(|last| call.0 <= last.0)
    }

    /// Returns true if a renewal requested at `asked_at` was about a receipt that has been replaced since.
    pub(crate) fn is_superseded_since(&self, asked_at: Instant) -> bool {
        asked_at <= self.received_at
    }

    /// Returns true while a renewal is not answered.
    pub(crate) fn is_renewing(&self) -> bool {
        self.renewals > 0
    }

    /// Returns true if its settlement waits for a renewal's answer.
    pub(crate) fn waits_for_heartbeat(&self) -> bool {
        matches!(self.stage, Stage::Settling(Settling { step: Step::AfterHeartbeat, .. }))
    }

    /// A renewal was requested. If it is not answered in time, another one follows beside it, because the lease expires while
    /// this one hangs.
    pub(crate) fn renewal_asked(&mut self, now: Instant, visibility: Duration) {
        self.renewals += 1;
        self.renew_at = now + patience(visibility);
    }

    /// One of the renewals was answered, or counts as unanswered.
    pub(crate) fn renewal_answered(&mut self) {
        self.renewals = self.renewals.saturating_sub(1);
    }

    /// A call about it, a renewal or a settlement, counts as unanswered.
    pub(crate) fn call_unanswered(&mut self, is_renewal: bool) {
        match &mut self.stage {
            _ if is_renewal => self.renewal_answered(),
            Stage::Settling(settling) => settling.calls = settling.calls.saturating_sub(1),
            Stage::Waiting | Stage::Running(_) => {}
        }
    }

    pub(crate) fn renewed(&mut self, asked_at: Instant, visibility: Duration) {
        self.set_leased_until(self.leased_until.max(asked_at + visibility));
        // A late answer does not change the time of a parallel renewal.
        self.renew_at = self.renew_at.max(asked_at + visibility / 2);
    }

    /// A renewal failed transiently: it is retried soon, so that several tries fit into the rest of the lease.
    pub(crate) fn renewal_failed(&mut self, now: Instant) {
        self.renew_at = now + (self.lease / 10).min(Duration::from_secs(2));
    }

    /// The time at which its settlement continues without an answer.
    pub(crate) fn settlement_due(&self) -> Option<Instant> {
        let Stage::Settling(settling) = &self.stage else { return None };
        match settling.step {
            Step::Backoff(at) => Some(at),
            Step::AfterHeartbeat => settling.heartbeat_until.filter(|_| self.releasing.is_none()),
            Step::InCall => settling.repeat_at,
            Step::Deferred | Step::Queued => None,
        }
    }

    /// The latest time at which this delivery must be checked; `None` for a lost and aborted run, which waits only for its
    /// ending.
    pub(crate) fn next_check(&self) -> Option<Instant> {
        let lost_at = (!self.is_past_lease()).then_some(self.lost_at);
        let own = match &self.stage {
            Stage::Waiting => {
                [self.lock_wait.as_deref().and_then(LockWait::next_check), self.held_until(), None, None]
            }
            Stage::Running(run) => {
                let claim = if run.lost { None } else { run.claim.next_check() };
                let mark = run.marking.as_deref().map(Marking::ask_at);
                [run.cancelled.is_none().then_some(run.deadline), run.abort_at, claim, mark]
            }
            Stage::Settling(settling) => [self.settlement_due(), settling.give_up_at, None, None],
        };
        let releasing = self.releasing.as_ref();
        let releasing = releasing.map(|r| r.again_at.map_or(r.give_up_at, |at| at.min(r.give_up_at)));
        earliest([earliest(own), lost_at, self.renewal_due(), releasing])
    }
}
