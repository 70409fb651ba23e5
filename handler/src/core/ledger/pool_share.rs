//! A ledger's share of the slots of its process.

use crate::core::slots::{EndedJobs, SlotMember};

/// A ledger's share of the slots of its process.
#[derive(Debug)]
pub(super) struct PoolShare {
    pub(super) member: SlotMember,
    pub(super) granted: usize,
    /// The slots that were free at the end of the last turn, collected until there are enough for one receive.
    pub(super) gathered: usize,
    /// As far as is known, a held message may start once there is a slot for it.
    pub(super) holds_for_slot: bool,
    pub(super) is_late: bool,
    /// The jobs that have ended since the last report.
    pub(super) ended: EndedJobs,
}
