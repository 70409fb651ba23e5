//! Reports on the messages that wait for limits.

use std::time::Instant;

use super::state::Ledger;
use crate::core::ledger_event::LedgerEvent;
use crate::core::limits::{CountChange, WaitChanges};

impl Ledger {
    /// Reports how many messages wait for which limit, if that has changed.
    pub(super) fn report_waits(&mut self, now: Instant) {
        if self.held.count() == 0 && self.waits.is_empty() {
            return;
        }
        let WaitChanges { counts, begun } = self.waits.update(now, self.held.iter());
        for (class, wait) in begun {
            let opens_in = wait.until.map(|until| until.saturating_duration_since(now));
            self.emit(LedgerEvent::WaitsForLimit { class, reason: wait.reason, opens_in });
        }
        for CountChange { job_type, reason, before, count } in counts {
            self.emit(LedgerEvent::HeldForLimit { job_type, reason, before, count });
        }
    }
}
