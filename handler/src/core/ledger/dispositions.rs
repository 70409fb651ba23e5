//! The final disposition of each delivery's message, on which a host's own answer depends.
//!
//! It is final with the outcome, except for a message that is copied into the DLQ: SQS's answer decides whether its original
//! may be deleted, and may arrive after the delivery has left.

use std::sync::Arc;
use std::time::Instant;

use super::effect::{Disposition, Effect};
use super::in_flight::{About, CALL_PATIENCE, InFlight};
use super::state::Ledger;
use crate::core::ids::{CallId, DeliveryId};
use crate::core::outcome::Outcome;
use crate::core::policy::DeadLetterPath;
use crate::message::sqs_message::Message;

impl Ledger {
    /// Reports the disposition that follows from an outcome, unless a copy decides about it.
    pub(super) fn dispose(&mut self, delivery: DeliveryId, message: &Arc<Message>, outcome: &Outcome) {
        let message = Arc::clone(message);
        let disposition = match outcome {
            Outcome::Ack => Disposition::Done,
            Outcome::RetryAfter(_) | Outcome::Requeue | Outcome::LeaseLost => Disposition::Returned,
            Outcome::DeadLetter(_) => match self.policy.dead_letter {
                DeadLetterPath::Redrive | DeadLetterPath::Nowhere => Disposition::FailedPermanently,
                DeadLetterPath::Copy => {
                    self.copying.insert(delivery, message);
                    return;
                }
            },
        };
        self.effects.push_back(Effect::Finished { delivery, message, disposition });
    }

    /// Reports the disposition of a message that was copied, once.
    pub(super) fn copy_ended(&mut self, delivery: DeliveryId, disposition: Disposition) {
        if let Some(message) = self.copying.remove(&delivery) {
            self.effects.push_back(Effect::Finished { delivery, message, disposition });
        }
    }

    /// A delivery leaves. A later answer decides about its copy.
    pub(super) fn leaves_uncopied(&mut self, delivery: DeliveryId) {
        if self.copying.is_empty() {
            return;
        }
        let copies =
            |call: &InFlight| matches!(call.about, About::Copy(_)) && call.deliveries.contains(&delivery);
        if self.calls.values().any(copies) {
            self.check_by(self.next_copy_check());
        } else {
            self.copy_ended(delivery, Disposition::FailedPermanently);
        }
    }

    /// The time at which the oldest copy in flight counts as unanswered.
    pub(super) fn next_copy_check(&self) -> Option<Instant> {
        if self.copying.is_empty() {
            return None;
        }
        let copies = self.calls.values().filter(|call| matches!(call.about, About::Copy(_)));
        copies.map(|call| call.asked_at + CALL_PATIENCE).min()
    }

    /// A call was not answered and never will be.
    pub(super) fn call_forgotten(&mut self, call: CallId) {
        let Some(call) = self.calls.remove(&call) else { return };
        for id in call.deliveries {
            match self.deliveries.get_mut(id) {
                Some(delivery) => delivery.call_unanswered(matches!(call.about, About::Renewals(_))),
                None => self.copy_ended(id, Disposition::FailedPermanently),
            }
        }
    }

    /// The ledger's time is over: no answer counts from now on.
    pub(super) fn no_more_copies(&mut self) {
        while let Some((delivery, message)) = self.copying.pop_first() {
            let disposition = Disposition::FailedPermanently;
            self.effects.push_back(Effect::Finished { delivery, message, disposition });
        }
    }
}
