//! The number of runs at once, changed while the ledger works.

use std::num::NonZeroUsize;

use super::state::Ledger;

impl Ledger {
    /// Sets the number of runs at once. If fewer are allowed than run, nothing starts until enough have ended, and none is
    /// cancelled. Messages of open receives are released to the queue if there is no slot for them.
    pub fn set_concurrency(&mut self, concurrency: NonZeroUsize) {
        self.policy.concurrency = concurrency;
        if let Some(receives) = &mut self.receives {
            receives.set_concurrency(concurrency.get());
        }
        self.quarantine.set_concurrency(concurrency.get());
    }
}
