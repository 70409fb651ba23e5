//! The number of runs at once, changed while the ledger works.

use std::num::NonZeroUsize;

use super::state::Ledger;

impl Ledger {
    /// Has so many runs go on at once from now on. With fewer than there are, nothing starts until enough have ended; none is
    /// cancelled. What an open receive still brings is released to the queue if there is no slot for it.
    pub fn set_concurrency(&mut self, concurrency: NonZeroUsize) {
        self.policy.concurrency = concurrency;
        if let Some(receives) = &mut self.receives {
            receives.set_concurrency(concurrency.get());
        }
        self.quarantine.set_concurrency(concurrency.get());
    }
}
