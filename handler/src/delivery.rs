//! One receipt of a message: the message, its lease, and how far we are with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::control::CancelReason;
use crate::message::Message;
use crate::retry::MAX_VISIBILITY;
use crate::tenure::Tenure;

/// A delivery in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub(crate) u64);

/// SQS counts its twelve hours from its own receipt, and refuses a longer visibility instead of clamping it: asked for
/// is always this much less.
const LONGEST_HOLD: Duration = Duration::from_secs(MAX_VISIBILITY.as_secs() - 5);

/// A lease counts as lost this much before its end, or a tenth of it where that is shorter: the handler is told while
/// nobody else can have the message yet.
const LOST_MARGIN: Duration = Duration::from_secs(1);

/// A job is told to end half a minute before the twelve hours are over, to have time for it.
const LONGEST_RUN: Duration = Duration::from_secs(LONGEST_HOLD.as_secs() - 30);

/// SQS counts visibility in whole seconds: a renewal that gains less is not worth asking for.
const SMALLEST_GAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Arc<Message>,
    /// The receipt of a later delivery of the same message, which is the one that counts.
    pub(crate) newer_receipt: Option<String>,
    pub(crate) lane: Arc<str>,
    received_at: Instant,
    lease: Duration,
    leased_until: Instant,
    renew_at: Instant,
    /// A renewal is in the air; nothing else may be said about the visibility until it is answered.
    pub(crate) renewing: bool,
    /// The claim is being given up; the message must not be anybody else's before it is free.
    pub(crate) surrendering: bool,
    pub(crate) stage: Stage,
    /// Where it is given back unrun: for how long it stays hidden.
    pub(crate) hidden_for: Duration,
}

#[derive(Debug)]
pub(crate) enum Stage {
    Waiting,
    Running(Run),
    Settling(Settling),
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) started_at: Instant,
    pub(crate) deadline: Instant,
    pub(crate) cancelled: Option<CancelReason>,
    pub(crate) abort_at: Option<Instant>,
    /// The lease or the claim is lost.
    pub(crate) lost: bool,
    /// Its claim, where claims are kept.
    pub(crate) tenure: Option<Tenure>,
}

#[derive(Debug)]
pub(crate) struct Settling {
    pub(crate) settlement: Settlement,
    pub(crate) step: Step,
    pub(crate) tries: u32,
    /// The message was received again while the call was in the air: it is said once more, for the new receipt.
    pub(crate) again: bool,
    /// From when on the queue may hand the message out again, if it heeded the last call, whatever became of the answer.
    pub(crate) visible_from: Option<Instant>,
    /// The lease has ended during a drain, and the delete is tried on.
    pub(crate) past_lease: bool,
}

impl Settling {
    pub(crate) fn new(settlement: Settlement) -> Self {
        Self { settlement, step: Step::Queued, tries: 0, again: false, visible_from: None, past_lease: false }
    }
}

/// What is to be said to SQS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settlement {
    Delete,
    Visibility(Duration),
    /// A copy into the DLQ with this reason, then `Delete`.
    Copy(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// For the answer to the last renewal, and for the claim to be given up.
    AfterBeat,
    /// For the open receives to land, which would fetch it right back.
    Held,
    /// For its batch.
    Queued,
    /// For the answer.
    InCall,
    /// To be tried again.
    Backoff(Instant),
}

impl Delivery {
    pub(crate) fn new(message: Arc<Message>, lane: Arc<str>, lease: Duration, at: Instant) -> Self {
        Self {
            message,
            newer_receipt: None,
            lane,
            received_at: at,
            lease,
            leased_until: at + lease,
            renew_at: at + lease / 2,
            renewing: false,
            surrendering: false,
            stage: Stage::Waiting,
            hidden_for: Duration::ZERO,
        }
    }

    /// The lease, learned after the receipt.
    pub(crate) fn lease_is(&mut self, lease: Duration) {
        self.lease = lease;
        self.leased_until = self.received_at + lease;
        self.renew_at = self.received_at + lease / 2;
    }

    /// The same message was received again: its new receipt and lease take the place of the old ones.
    pub(crate) fn superseded(&mut self, receipt: String, at: Instant) {
        self.newer_receipt = Some(receipt);
        self.received_at = at;
        self.leased_until = at + self.lease;
        self.renew_at = at + self.lease / 2;
        if let Stage::Settling(settling) = &mut self.stage {
            settling.past_lease = false;
            settling.again |= settling.step == Step::InCall;
        }
    }

    /// Whether a receipt at `at` shows that the queue has heeded what was said of the visibility.
    pub(crate) fn is_back(&self, at: Instant) -> bool {
        matches!(self.stage, Stage::Settling(Settling { visible_from: Some(visible), .. }) if visible <= at)
    }

    pub(crate) fn receipt(&self) -> &str {
        self.newer_receipt.as_deref().unwrap_or(&self.message.receipt)
    }

    /// What can still be asked for at `now`, within the twelve hours.
    pub(crate) fn longest_visibility(&self, now: Instant) -> Duration {
        self.total_end().saturating_duration_since(now)
    }

    fn total_end(&self) -> Instant {
        self.received_at + LONGEST_HOLD
    }

    pub(crate) fn deadline(&self, now: Instant, handler_timeout: Duration) -> Instant {
        let total = self.received_at + LONGEST_RUN;
        now.checked_add(handler_timeout).map_or(total, |deadline| deadline.min(total))
    }

    /// From when on the lease counts as lost.
    pub(crate) fn lost_at(&self) -> Instant {
        let margin = LOST_MARGIN.min(self.lease / 10);
        self.leased_until.checked_sub(margin).unwrap_or(self.leased_until)
    }

    /// Returns true if the end of its lease has been seen to, whatever it is in the middle of.
    pub(crate) fn is_past_lease(&self) -> bool {
        self.is_lost() || matches!(self.stage, Stage::Settling(Settling { past_lease: true, .. }))
    }

    pub(crate) fn is_lost(&self) -> bool {
        matches!(self.stage, Stage::Running(Run { lost: true, .. }))
    }

    /// When it needs a renewal; `None` while one is in the air, and once none will follow.
    pub(crate) fn renewal_due(&self) -> Option<Instant> {
        let beats = match &self.stage {
            Stage::Waiting => true,
            Stage::Running(run) => !run.lost,
            Stage::Settling(_) => false,
        };
        // Within the last of the twelve hours there is nothing left to ask for.
        let gains = self.leased_until + SMALLEST_GAIN <= self.total_end();
        (beats && gains && !self.renewing).then_some(self.renew_at)
    }

    /// Whether a renewal asked for at `asked_at` was about a receipt that has been replaced since.
    pub(crate) fn is_superseded_since(&self, asked_at: Instant) -> bool {
        asked_at <= self.received_at
    }

    pub(crate) fn renewed(&mut self, asked_at: Instant, visibility: Duration) {
        self.leased_until = self.leased_until.max(asked_at + visibility);
        self.renew_at = asked_at + visibility / 2;
    }

    /// A renewal failed in passing: soon again, so that several tries fit into what is left.
    pub(crate) fn renewal_failed(&mut self, now: Instant) {
        self.renew_at = now + (self.lease / 10).min(Duration::from_secs(2));
    }

    /// When this delivery needs looking at, at the latest; `None` for a lost and aborted run, which waits for nothing
    /// but its ending.
    pub(crate) fn next_check(&self) -> Option<Instant> {
        let lost_at = if self.is_past_lease() { None } else { Some(self.lost_at()) };
        let own = match &self.stage {
            Stage::Waiting => [None; 3],
            Stage::Running(run) => {
                let tenure = run.tenure.as_ref().filter(|_| !run.lost).map(Tenure::next_check);
                [run.cancelled.is_none().then_some(run.deadline), run.abort_at, tenure]
            }
            Stage::Settling(settling) => match settling.step {
                Step::Backoff(at) => [Some(at), None, None],
                Step::AfterBeat | Step::Held | Step::Queued | Step::InCall => [None; 3],
            },
        };
        own.into_iter().chain([lost_at, self.renewal_due()]).flatten().min()
    }
}
