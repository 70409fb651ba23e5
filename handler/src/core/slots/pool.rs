//! The slots of a process, shared by its queues.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::member::SlotMember;
use super::rules::SlotRules;
use super::shared_shares::SharedShares;
use super::shares::Shares;

/// The slots of a process, shared by its queues. Cloning returns another handle of the same pool.
///
/// ```
/// use std::num::{NonZeroU32, NonZeroUsize};
/// use std::time::Duration;
/// use drumline::core::{Ledger, Policy, SlotPool, SlotRules};
///
/// # fn main() -> Result<(), drumline::core::InvalidPolicy> {
/// let pool = SlotPool::new(NonZeroUsize::new(8).unwrap());
/// let mut mails = Ledger::new(Policy::new(Duration::from_secs(30)))?;
/// mails.join_pool(pool.join("mails", SlotRules { weight: NonZeroU32::new(5).unwrap(), ..SlotRules::default() }));
/// let mut reports = Ledger::new(Policy::new(Duration::from_secs(30)))?;
/// reports.join_pool(pool.join("reports", SlotRules::default()));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SlotPool(SharedShares);

/// The share of one queue at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberSnapshot {
    /// The queue's name.
    pub name: Arc<str>,
    /// Its rules.
    pub rules: SlotRules,
    /// The slots that it has.
    pub slots: usize,
    /// Its runs. Its other slots are for messages that receives may return.
    pub running: usize,
    /// The slots that it waits for.
    pub waits_for: usize,
    /// Its share of the slots among the queues that have work now.
    pub share: f64,
    /// Its oldest message is older than its rules allow, so that it gets the next slots.
    pub is_late: bool,
}

impl SlotPool {
    /// Makes a pool with this number of slots.
    pub fn new(size: NonZeroUsize) -> Self {
        Self(SharedShares::new(Shares::new(size.get())))
    }

    /// Gives a queue its share, until the returned member is dropped.
    pub fn join(&self, name: &str, rules: SlotRules) -> SlotMember {
        let (id, changed) = self.0.lock().join(name.into(), rules);
        SlotMember::new(self.0.clone(), id, rules, changed)
    }

    /// The number of its slots.
    pub fn size(&self) -> usize {
        self.0.lock().size()
    }

    /// The shares of its queues, in the order in which they have joined.
    pub fn snapshot(&self) -> Vec<MemberSnapshot> {
        let shares = self.0.lock();
        let members = shares.members.iter().map(|(id, member)| MemberSnapshot {
            name: Arc::clone(&member.name),
            rules: member.rules,
            slots: member.granted,
            running: member.usage.running,
            waits_for: member.usage.wants.saturating_sub(member.granted),
            share: shares.share(*id),
            is_late: member.usage.is_late,
        });
        members.collect()
    }
}

impl fmt::Debug for SlotPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotPool").field("members", &self.snapshot()).finish_non_exhaustive()
    }
}
