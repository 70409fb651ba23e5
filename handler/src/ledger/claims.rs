//! What becomes of the claims under which handlers run: renewed with the leases, lost like them, given up before the
//! message goes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Effect, Ledger, SETTLE_TIME};
use crate::claim::{Held, Surrender};
use crate::control::CancelReason;
use crate::delivery::{DeliveryId, Run, Stage};
use crate::note::Note;
use crate::tenure::claim_length;

impl Ledger {
    /// For how long a claim that is asked for now is to last.
    pub(super) fn claim_length(&self, now: Instant) -> Duration {
        let over_in = self.drain_expected_at.map(|at| at.saturating_duration_since(now) + SETTLE_TIME);
        claim_length(self.policy.lease, over_in)
    }

    /// A renewal of a claim was answered; the error is the store's, which does not answer as it should.
    pub fn claim_renewed(&mut self, now: Instant, id: DeliveryId, reply: Result<Held, String>) {
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        let message = Arc::clone(&delivery.message);
        let Stage::Running(Run { tenure: Some(tenure), lost: false, .. }) = &mut delivery.stage else {
            return;
        };
        match reply {
            Ok(Held::Ours) => tenure.renewed(),
            Ok(Held::Lost) => return self.lose_claim(now, id),
            Err(error) => {
                tenure.renewal_failed(now);
                self.note(Note::ClaimRenewalFailed { message, error });
            }
        }
        let next_check = self.deliveries.get(&id).and_then(|delivery| delivery.next_check());
        self.check_by(next_check);
    }

    /// The claim is somebody else's, or may be: its run is stopped like one whose lease was lost.
    pub(super) fn lose_claim(&mut self, now: Instant, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        let Stage::Running(run) = &mut delivery.stage else { return };
        run.lost = true;
        let message = Arc::clone(&delivery.message);
        self.note(Note::ClaimLost(message));
        self.cancel(now, id, CancelReason::LeaseLost);
    }

    /// The claim of an ended run is given up. Nothing is said to SQS of its message before that is done: whoever receives
    /// it next is to find the claim free.
    pub(super) fn surrender(&mut self, id: DeliveryId, how: Surrender) {
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        delivery.surrendering = true;
        self.effects.push_back(Effect::Surrender(id, how));
    }

    /// A claim was given up, or could not be: it ends by itself then.
    pub fn surrendered(&mut self, now: Instant, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        if std::mem::take(&mut delivery.surrendering) {
            self.queue_settlement(now, id);
            self.ready_again(now, id);
        }
    }
}
