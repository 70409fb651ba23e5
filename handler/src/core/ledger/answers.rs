//! The calls to SQS, and the effects of their answers.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::effect::{Disposition, Effect};
use super::in_flight::{About, InFlight};
use super::state::Ledger;
use crate::core::call::{Action, Call, CallError, Entry, Replies, VisibilityEntry, visibility_secs};
use crate::core::control::CancelReason;
use crate::core::decide::{Unrun, decide_unrun};
use crate::core::delivery::{Delivery, Settlement, Settling, Stage, Step};
use crate::core::earliest::earliest;
use crate::core::ids::{CallId, DeliveryId};
use crate::core::ledger_event::LedgerEvent;
use crate::core::outcome_cache::PriorOutcome;
use crate::core::policy::Acknowledge;
use crate::core::retry::Jitter;
use crate::message::sqs_message::Message;

/// The longest wait between the tries of a drain, which has little time and ends with unconfirmed settlements.
const LONGEST_WAIT_IN_DRAIN: Duration = Duration::from_secs(1);

/// The time for which a settlement waits for the answers to renewals. A renewal that SQS carries out after that makes the
/// message visible a lease later, see ADR 0012; a settlement that waited longer could miss its lease.
const HEARTBEAT_PATIENCE: Duration = Duration::from_secs(1);

/// The number of requests for a visibility if the response of a whole batch waits for it, see also [`Policy::confirm_within`].
///
/// [`Policy::confirm_within`]: crate::core::Policy::confirm_within
const TRIES_BEFORE_RESPONSE: u32 = 3;

impl Ledger {
    /// Queues the settlement for a call to SQS, as soon as no reason prevents it.
    pub(super) fn queue_settlement(&mut self, now: Instant, id: DeliveryId) {
        let held = self.holds_back(now);
        // With as many lanes as deliveries, none is behind another.
        let share_lanes = self.lanes.len() < self.deliveries.len();
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let renewing = delivery.is_renewing();
        let Stage::Settling(settling) = &mut delivery.stage else { return };
        if matches!(settling.settlement, Settlement::Copy(_))
            && matches!(self.outcome_cache.of(&delivery.message.id), Some(PriorOutcome::Done { .. }))
        {
            // An earlier delivery's copy has been confirmed since.
            return self.delete_moved(now, id);
        }
        if delivery.releasing.is_some() {
            // A claim that is not yet free would keep away the worker that receives the message next.
            settling.step = Step::AfterHeartbeat;
            return;
        }
        if renewing {
            // A renewal that SQS carries out later would overwrite this call.
            let until = *settling.heartbeat_until.get_or_insert(now + HEARTBEAT_PATIENCE);
            if now < until {
                settling.step = Step::AfterHeartbeat;
                return self.check_by(Some(until));
            }
        }
        if held && settling.settlement == Settlement::Visibility(Duration::ZERO) {
            settling.step = Step::Deferred;
            return;
        }
        settling.step = Step::Queued;
        // The messages behind it in its lane cannot start before.
        let urgent = share_lanes && self.lanes.get(&delivery.lane).is_some_and(|lane| lane.len() > 1);
        match settling.settlement {
            Settlement::Delete => self.deletes.push(now, id, urgent),
            Settlement::Visibility(_) => self.visibilities.push(now, id, urgent),
            Settlement::Copy(_) => self.copies.push_back(id),
        }
    }

    /// Makes the calls for the entries that wait for them.
    pub(super) fn flush(&mut self, now: Instant) {
        // With nothing running, no further entries will soon fill a batch.
        let idle = self.running == 0;
        while let Some(ids) = self.deletes.take(now, idle) {
            let entry = |_: &Settlement, id, delivery: &Delivery| Entry {
                delivery: id,
                receipt: delivery.receipt().to_owned(),
            };
            let (ids, entries) = self.entries_of(now, ids, entry);
            if !ids.is_empty() {
                self.call(now, ids, About::Settlements, Action::Delete(entries));
            }
        }
        while let Some(ids) = self.visibilities.take(now, idle) {
            let entry = |settlement: &Settlement, id, delivery: &Delivery| {
                let asked = if let Settlement::Visibility(visibility) = settlement {
                    *visibility
                } else {
                    Duration::ZERO
                };
                let visibility_secs = visibility_secs(asked.min(delivery.longest_visibility(now)));
                VisibilityEntry { delivery: id, receipt: delivery.receipt().to_owned(), visibility_secs }
            };
            let (ids, entries) = self.entries_of(now, ids, entry);
            if !ids.is_empty() {
                self.call(now, ids, About::Settlements, Action::ChangeVisibility(entries));
            }
        }
        while let Some(id) = self.copies.pop_front() {
            let copy = |settlement: &Settlement, _, delivery: &Delivery| {
                let reason =
                    if let Settlement::Copy(reason) = settlement { reason.clone() } else { String::new() };
                (Arc::clone(&delivery.message), reason)
            };
            let (ids, copies) = self.entries_of(now, vec![id], copy);
            for (message, reason) in copies {
                let about = About::Copy(Arc::clone(&message));
                self.call(now, ids.clone(), about, Action::DeadLetter { delivery: id, message, reason });
            }
        }
    }

    /// The deliveries of `ids` that still wait for their call, with its entries.
    fn entries_of<E>(
        &mut self,
        now: Instant,
        mut ids: Vec<DeliveryId>,
        entry: impl Fn(&Settlement, DeliveryId, &Delivery) -> E,
    ) -> (Vec<DeliveryId>, Vec<E>) {
        let by_response = self.policy.acknowledge == Acknowledge::ByResponse;
        let within = by_response.then_some(self.policy.confirm_within);
        let (mut entries, mut checks) = (Vec::with_capacity(ids.len()), None);
        ids.retain(|id| {
            let Some(delivery) = self.deliveries.get_mut(*id) else { return false };
            if !delivery.settlement_asked(now, within) {
                return false;
            }
            let Stage::Settling(settling) = &delivery.stage else { return false };
            checks = earliest([checks, settling.repeat_at, settling.give_up_at]);
            entries.push(entry(&settling.settlement, *id, delivery));
            true
        });
        self.check_by(checks);
        (ids, entries)
    }

    pub(super) fn call(&mut self, now: Instant, ids: Vec<DeliveryId>, about: About, action: Action) {
        let id = CallId(self.next_id());
        self.calls.insert(id, InFlight { deliveries: ids, asked_at: now, about });
        self.effects.push_back(Effect::Call(Call { id, action }));
    }

    /// A call was answered. Answers may arrive in any order; a repeated one is ignored.
    pub fn called(&mut self, now: Instant, id: CallId, replies: Replies, jitter: Jitter) {
        let Some(InFlight { deliveries, asked_at, about }) = self.calls.remove(&id) else { return };
        let unanswered = || Err(CallError::Failed("the answer does not mention this entry".to_owned()));
        let mut replies = replies.into_iter().chain(std::iter::repeat_with(unanswered));
        let mut renewed = 0;
        for (index, delivery) in deliveries.into_iter().enumerate() {
            let reply = replies.next().unwrap_or_else(unanswered);
            match &about {
                About::Renewals(visibilities) => {
                    renewed += usize::from(reply.is_ok());
                    let visibility = visibilities.get(index).copied().unwrap_or_default();
                    self.renewal_answered(now, delivery, asked_at, visibility, reply);
                }
                About::Copy(message) if reply.is_ok() => self.moved(now, delivery, message),
                About::Settlements => self.settlement_answered(now, id, delivery, reply, jitter),
                About::Copy(_) => {
                    self.settlement_answered(now, id, delivery, reply, jitter);
                    if !self.deliveries.contains(delivery) {
                        self.copy_ended(delivery, Disposition::FailedPermanently);
                    }
                }
            }
        }
        if renewed > 0 {
            self.emit(LedgerEvent::Renewed(renewed));
        }
    }

    fn renewal_answered(
        &mut self,
        now: Instant,
        id: DeliveryId,
        asked_at: Instant,
        visibility: Duration,
        reply: Result<(), CallError>,
    ) {
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        delivery.renewal_answered();
        let message = Arc::clone(&delivery.message);
        // SQS's answer for an old receipt says nothing about the new one.
        let counts = !delivery.is_superseded_since(asked_at);
        let gone = counts && matches!(reply, Err(CallError::Gone(_)));
        match &reply {
            Ok(()) if counts => delivery.renewed(asked_at, visibility),
            Err(_) if counts => delivery.renewal_failed(now),
            Ok(()) | Err(_) => {}
        }
        if let Err(error) = reply {
            self.emit(LedgerEvent::RenewalFailed { message, error: error.to_string() });
        }
        match self.deliveries.get(id) {
            // Its job ended while the renewal was in flight. If its receipt is gone, SQS will report it.
            Some(delivery) if delivery.waits_for_heartbeat() => self.queue_settlement(now, id),
            Some(delivery) if matches!(delivery.stage, Stage::Settling(_)) => {}
            Some(_) if gone => self.lose_lease(now, id),
            Some(delivery) => {
                let next_check = delivery.next_check();
                self.check_by(next_check);
            }
            None => {}
        }
    }

    fn settlement_answered(
        &mut self,
        now: Instant,
        call: CallId,
        id: DeliveryId,
        reply: Result<(), CallError>,
        jitter: Jitter,
    ) {
        let waits_for_answer = self.policy.acknowledge == Acknowledge::ByResponse;
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let message = Arc::clone(&delivery.message);
        let superseded = delivery.is_superseded_since_call(call);
        let Stage::Settling(settling) = &mut delivery.stage else { return };
        if settling.calls == 0 {
            return;
        }
        settling.calls -= 1;
        // Another call is in flight or due, and its answer counts.
        let repeated = settling.calls > 0 || settling.step != Step::InCall;
        match reply {
            // The old receipt was answered; the message was received again with a new one.
            Ok(()) | Err(CallError::Gone(_)) if superseded && repeated => {}
            Ok(()) | Err(CallError::Gone(_)) if superseded => self.queue_settlement(now, id),
            Ok(()) => {
                let deleted = settling.settlement == Settlement::Delete;
                self.emit(LedgerEvent::Settled(message));
                if deleted {
                    self.remove(now, id);
                } else {
                    self.remember_hidden(now, id);
                    self.remove_unconfirmed(now, id);
                }
            }
            Err(CallError::Gone(error)) => self.give_up(now, id, error),
            Err(CallError::Refused(error)) if matches!(settling.settlement, Settlement::Visibility(_)) => {
                self.emit(LedgerEvent::Refused { message, error });
                self.remove_unconfirmed(now, id);
            }
            Err(CallError::Failed(error))
                if waits_for_answer
                    && settling.tries + 1 >= TRIES_BEFORE_RESPONSE
                    && matches!(settling.settlement, Settlement::Visibility(_)) =>
            {
                self.give_up(now, id, error);
            }
            Err(CallError::Failed(error) | CallError::Refused(error)) if settling.step != Step::InCall => {
                self.emit(LedgerEvent::CallFailed { message, error });
            }
            Err(CallError::Failed(error) | CallError::Refused(error)) => {
                settling.tries = settling.tries.saturating_add(1);
                let tries = NonZeroU32::new(settling.tries).unwrap_or(NonZeroU32::MIN);
                let longest = if self.draining.is_some() { LONGEST_WAIT_IN_DRAIN } else { Duration::MAX };
                let delay = self.settle_retry.delay(tries, jitter).min(longest);
                settling.step = Step::Backoff(now + delay);
                let next_check = delivery.next_check();
                self.check_by(next_check);
                self.emit(LedgerEvent::CallFailed { message, error });
            }
        }
    }

    /// The copy is in the DLQ: the original must be deleted, even if it is redelivered, and even if its lease has ended since.
    fn moved(&mut self, now: Instant, id: DeliveryId, message: &Arc<Message>) {
        self.learn(message, PriorOutcome::Done { at: now });
        self.emit(LedgerEvent::Moved(Arc::clone(message)));
        self.delete_moved(now, id);
    }

    fn delete_moved(&mut self, now: Instant, id: DeliveryId) {
        self.copy_ended(id, Disposition::DeadLettered);
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let Stage::Settling(settling) = &mut delivery.stage else { return };
        match self.policy.acknowledge {
            Acknowledge::ByDelete => {
                *settling = Settling::new(Settlement::Delete);
                self.queue_settlement(now, id);
            }
            Acknowledge::ByResponse => self.remove(now, id),
        }
    }

    /// The lease of a delivery has ended, or counts as ended.
    pub(super) fn lose_lease(&mut self, now: Instant, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let message = Arc::clone(&delivery.message);
        match &mut delivery.stage {
            Stage::Waiting => {
                let outcome = decide_unrun(Unrun::LeaseLost, self.outcome_cache.of(&message.id));
                self.emit(LedgerEvent::LeaseLost(message));
                self.conclude_unrun(now, id, outcome);
            }
            // Already known, from the clock or from SQS.
            Stage::Running(run) if run.lost => {}
            Stage::Running(run) => {
                run.lost = true;
                self.emit(LedgerEvent::LeaseLost(message));
                self.cancel(now, id, CancelReason::LeaseLost);
            }
            // Another worker may receive the message from now on, but its job is done, and its deletion saves a second run. A
            // standard queue accepts it even after the lease's end.
            Stage::Settling(settling)
                if self.draining.is_some() && settling.settlement == Settlement::Delete =>
            {
                settling.past_lease = true;
            }
            Stage::Settling(settling) => {
                let error = format!("the lease ended after {} tries", settling.tries);
                self.give_up(now, id, error);
            }
        }
    }

    /// A delivery leaves without SQS's confirmation.
    pub(super) fn give_up(&mut self, now: Instant, id: DeliveryId, error: String) {
        let Some(delivery) = self.deliveries.get(id) else { return };
        let message = Arc::clone(&delivery.message);
        self.emit(LedgerEvent::Unsettled { message, error });
        self.remove_unconfirmed(now, id);
    }
}
