//! The target's part of the loop: the pause while it is unhealthy, and the messages that probe it.

use std::time::Instant;

use drumline::core::{Ending, Pause, PauseReason, RunReport};
use tokio::runtime::Handle;

use super::Driver;
use super::branches::now;
use super::target::Target;
use crate::target::TargetHealth;

impl Driver {
    /// Has the queue paused while this target is unhealthy, instead of one that only the handlers know.
    pub fn watch_target(&mut self, health: TargetHealth) {
        self.target = Target::new(health);
    }

    /// The target is probed from now on, if the queue can be paused.
    pub(super) fn probe_target(&mut self) {
        if self.ledger.policy().polling.is_some() {
            self.target.health.probe_on(Handle::current());
        }
    }

    /// Brings the pause in line with the target's health.
    pub(super) fn follow_target(&mut self) {
        if self.ledger.policy().polling.is_none() {
            return;
        }
        let reason = PauseReason::TargetUnhealthy;
        let is_paused = self.ledger.pause_reasons().any(|held| held == reason);
        let state = self.target.state.borrow_and_update();
        match &state.trouble {
            Some(trouble) if !is_paused => self.ledger.pause(now(), Pause { reason, probe: trouble.probe }),
            None if is_paused => self.ledger.resume(now(), reason),
            Some(_) | None => {}
        }
        self.observer.target(state.trouble.as_ref().map(|trouble| &trouble.reason));
        if std::mem::replace(&mut self.target.probes, state.message_probes) != state.message_probes {
            self.ledger.probe();
        }
    }

    /// Learns about a target that only handlers know from the ending of a run, and from the time of its beginning.
    pub(super) fn learn_of_target(&mut self, report: &RunReport, began_at: Option<Instant>) {
        self.report_to_target(report, began_at);
        if matches!(report.ending, Ending::TargetUnhealthy { .. }) {
            // The pause begins with the probe that can end it.
            self.follow_target();
        }
    }

    fn report_to_target(&self, report: &RunReport, began_at: Option<Instant>) {
        let health = &self.target.health;
        if !health.is_of_handlers() || self.ledger.policy().polling.is_none() {
            return;
        }
        match &report.ending {
            Ending::TargetUnhealthy { reason } => health.unreachable(reason),
            Ending::Done | Ending::RetryAsked { .. } | Ending::Rejected { .. } | Ending::Panicked { .. }
                if health.is_unhealthy() =>
            {
                // A run that began before the trouble says nothing of it.
                if let Some(began_at) = began_at {
                    health.answered(report.job_type.as_deref().unwrap_or_default(), began_at.into());
                }
            }
            _ => {}
        }
    }
}
