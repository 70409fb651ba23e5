//! The check whether an ending ends the job permanently, before the ending counts.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use super::Ledger;
use crate::core::control::CancelReason;
use crate::core::decide::{DecisionInput, decide_run};
use crate::core::delivery::Stage;
use crate::core::ending::{Ending, FailureClass};
use crate::core::ids::DeliveryId;
use crate::core::outcome::Outcome;
use crate::core::retry::Jitter;
use crate::core::run_report::RunReport;
use crate::message::sqs_message::Message;

/// The failure that ends a job: no attempt follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The kind of failure.
    pub class: Option<FailureClass>,
    /// The reason as a text.
    pub reason: String,
}

impl Ending {
    /// Returns true if a job that ends so on its last attempt has died of its own failure. Then a host calls the hook for dead
    /// jobs; other endings of a last receive (an interruption, an unhealthy target, a lock) leave that to the watch over the
    /// DLQ.
    pub fn is_own_failure(&self) -> bool {
        matches!(
            self,
            Self::RetryAsked { .. }
                | Self::Rejected { .. }
                | Self::InvalidPayload { .. }
                | Self::NoHandler { .. }
                | Self::Panicked { .. }
                | Self::TimedOut
        )
    }
}

impl Ledger {
    /// Returns the message of a delivery in hand.
    pub fn message_of(&self, id: DeliveryId) -> Option<&Arc<Message>> {
        self.deliveries.get(id).map(|delivery| &delivery.message)
    }

    /// Returns the death of a job if [`ended`](Self::ended) would decide now that no attempt follows on this run. Decides nothing.
    pub fn death_of(&self, now: Instant, id: DeliveryId, report: &RunReport) -> Option<Death> {
        let delivery = self.deliveries.get(id)?;
        let Stage::Running(run) = &delivery.stage else { return None };
        let stopped = if run.lost { Some(CancelReason::LeaseLost) } else { run.cancelled };
        let ending = self.cancelled_ending(id, &report.ending).unwrap_or_else(|| report.ending.clone());
        let facts = DecisionInput {
            attempt: report.attempt.unwrap_or_else(|| self.attempt(&delivery.message)),
            receives: NonZeroU32::new(delivery.message.receive_count).unwrap_or(NonZeroU32::MIN),
            job_type: report.job_type.as_deref(),
            longest_delay: delivery.longest_visibility(now),
        };
        let decision = decide_run(&self.policy, &facts, stopped, ending, now, Jitter::new(0));
        let class = decision.ending.class();
        match decision.outcome {
            _ if !decision.ending.is_own_failure() => None,
            Outcome::DeadLetter(reason) => Some(Death { class, reason }),
            Outcome::RetryAfter(_) if decision.last_attempt => {
                let reason = decision.ending.reason().unwrap_or_default().to_owned();
                Some(Death { class, reason })
            }
            _ => None,
        }
    }
}
