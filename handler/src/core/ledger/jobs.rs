//! An operator's orders for single jobs: cancelled jobs fail permanently, hidden ones are tried now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state::Ledger;
use crate::core::control::CancelReason;
use crate::core::delivery::{Delivery, Settlement, Settling, Stage};
use crate::core::ending::Ending;
use crate::core::hidden::HiddenMessage;
use crate::core::ids::DeliveryId;
use crate::core::outcome::Outcome;
use crate::core::outcome_cache::PriorOutcome;
use crate::message::sqs_message::Message;

/// The place of a message, as far as a ledger knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// It runs.
    Running,
    /// It waits in hand, or SQS has not yet confirmed the settlement of its run.
    InHand,
    /// It waits hidden in the queue for its next attempt.
    Hidden,
}

impl Ledger {
    /// The messages in hand, in the order of their receipt.
    pub fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.deliveries.ids(|_, _| true).into_iter().filter_map(|id| self.message_of(id))
    }

    /// Returns the place of a message; `None` if it is not known here.
    pub fn whereabouts(&self, now: Instant, message_id: &str) -> Option<Whereabouts> {
        match self.delivery_of(message_id).and_then(|id| self.deliveries.get(id)) {
            Some(delivery) if matches!(delivery.stage, Stage::Running(_)) => Some(Whereabouts::Running),
            Some(_) => Some(Whereabouts::InHand),
            None => self.hidden.get(now, message_id).map(|_| Whereabouts::Hidden),
        }
    }

    /// Returns a message that is hidden until its next attempt, for the host to make it visible by its receipt.
    pub fn hidden(&self, now: Instant, message_id: &str) -> Option<&HiddenMessage> {
        self.hidden.get(now, message_id)
    }

    /// A hidden message was made visible.
    pub fn made_visible(&mut self, message_id: &str) {
        self.hidden.remove(message_id);
    }

    /// Makes the job of a message fail permanently for this reason. A run is cancelled; if it still succeeds, the success
    /// counts. A message that waits in hand leaves without a run, and so does one that is received later. Returns its place.
    pub fn cancel_job(&mut self, now: Instant, message_id: &str, reason: &str) -> Option<Whereabouts> {
        let found = self.whereabouts(now, message_id);
        if found != Some(Whereabouts::Running) {
            self.cancelled.add(message_id, reason);
            let prior = PriorOutcome::FailedPermanently(reason.to_owned());
            self.outcome_cache.learn(message_id, prior);
        }
        let Some(id) = self.delivery_of(message_id) else { return found };
        let is_head = self.is_head(id);
        let Some(delivery) = self.deliveries.get_mut(id) else { return found };
        match delivery.stage {
            Stage::Running(_) => {
                delivery.cancelled_for = Some(reason.into());
                self.cancel(now, id, CancelReason::Operator);
            }
            // It may have to wait for the release of its claim, or for its turn in its message group: then its start decides.
            Stage::Waiting if delivery.releasing.is_none() && is_head => {
                self.conclude_unrun(now, id, Outcome::DeadLetter(reason.to_owned()));
            }
            Stage::Waiting | Stage::Settling(_) => {}
        }
        found
    }

    fn delivery_of(&self, message_id: &str) -> Option<DeliveryId> {
        let is_it = |delivery: &Delivery| *delivery.message.id == *message_id && !delivery.is_lost();
        self.deliveries.iter().filter(|(_, delivery)| is_it(delivery)).map(|(id, _)| id).min()
    }

    fn is_head(&self, id: DeliveryId) -> bool {
        let lane = self.deliveries.get(id).and_then(|delivery| self.lanes.get(&delivery.lane));
        lane.is_some_and(|lane| lane.first() == Some(&id))
    }

    /// A message is received: one that was cancelled before will not run.
    pub(super) fn recall_cancelled(&mut self, message_id: &Arc<str>) {
        self.hidden.remove(message_id);
        if let Some(reason) = self.cancelled.reasons.get(message_id) {
            let prior = PriorOutcome::FailedPermanently(reason.to_string());
            self.outcome_cache.learn(Arc::clone(message_id), prior);
        }
    }

    /// Returns the ending of a run that an operator has cancelled, unless the job is still done or has failed permanently.
    pub(super) fn cancelled_ending(&self, id: DeliveryId, reported: &Ending) -> Option<Ending> {
        let reason = self.deliveries.get(id)?.cancelled_for.as_ref()?;
        let stands = matches!(
            reported,
            Ending::Done
                | Ending::DoneBefore(_)
                | Ending::Rejected { .. }
                | Ending::InvalidPayload { .. }
                | Ending::FailedPermanently { .. }
        );
        (!stands).then(|| Ending::Rejected { reason: reason.to_string() })
    }

    /// SQS has confirmed that a message is hidden until its next attempt.
    pub(super) fn remember_hidden(&mut self, now: Instant, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get(id).filter(|_| self.receives.is_some()) else { return };
        let Stage::Settling(Settling { settlement: Settlement::Visibility(hidden), visible_from, .. }) =
            &delivery.stage
        else {
            return;
        };
        if *hidden > Duration::ZERO {
            let message = HiddenMessage {
                message_id: Arc::clone(&delivery.message.id),
                receipt: delivery.receipt().to_owned(),
                identity: delivery.identity.clone(),
                until: visible_from.unwrap_or(now + *hidden),
            };
            self.hidden.add(message);
        }
    }
}
