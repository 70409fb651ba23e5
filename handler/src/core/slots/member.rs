//! The share of one queue in the slots of its process.

use std::sync::Arc;
use std::time::Instant;

use event_listener::{Event, EventListener};

use super::rules::SlotRules;
use super::shared_shares::SharedShares;
use super::shares::{Shares, SlotUse};

/// The share of one queue in the slots of its process. Its slots are free again when it is dropped.
#[derive(Debug)]
pub struct SlotMember {
    pool: SharedShares,
    id: u64,
    rules: SlotRules,
    changed: Arc<Event>,
}

impl SlotMember {
    pub(super) fn new(pool: SharedShares, id: u64, rules: SlotRules, changed: Arc<Event>) -> Self {
        Self { pool, id, rules, changed }
    }

    /// Its rules.
    pub fn rules(&self) -> SlotRules {
        self.rules
    }

    /// Waits for more slots.
    pub fn changed(&self) -> EventListener {
        self.changed.listen()
    }

    /// The slots that it has.
    pub(crate) fn granted(&self) -> usize {
        self.pool.lock().members.get(&self.id).map_or(0, |member| member.granted)
    }

    /// Requests slots. Returns its number of slots, and its share.
    pub(crate) fn ask(&self, now: Instant, usage: SlotUse) -> (usize, usize) {
        let mut shares = self.pool.lock();
        let mut others = shares.report(now, self.id, usage);
        others.retain(|id| *id != self.id);
        notify(&shares, &others);
        let granted = shares.members.get(&self.id).map_or(0, |member| member.granted);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a pool has at most 10,000 slots"
        )]
        let share = shares.share(self.id).ceil() as usize;
        (granted, share.max(1))
    }

    /// Returns its unused slots. It is notified if it gets more.
    pub(crate) fn settle(&self, now: Instant, usage: SlotUse) {
        let mut shares = self.pool.lock();
        let ids = shares.report(now, self.id, usage);
        notify(&shares, &ids);
    }
}

impl Drop for SlotMember {
    fn drop(&mut self) {
        let mut shares = self.pool.lock();
        let ids = shares.leave(self.id);
        notify(&shares, &ids);
    }
}

fn notify(shares: &Shares, ids: &[u64]) {
    for member in ids.iter().filter_map(|id| shares.members.get(id)) {
        member.changed.notify(usize::MAX);
    }
}
