//! The rules by which a queue has a share of a pool.

use std::num::NonZeroU32;
use std::time::Duration;

/// The rules by which a queue has a share of the slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRules {
    /// Its weight: of two queues with a backlog, one of twice the weight has twice as many slots over time.
    pub weight: NonZeroU32,
    /// The age from which a message that is received for the first time shows that the queue is late; a late queue gets the
    /// next slots, within bounds.
    pub max_age: Option<Duration>,
    /// Its priority.
    pub priority: Priority,
}

impl Default for SlotRules {
    fn default() -> Self {
        Self { weight: NonZeroU32::MIN, max_age: None, priority: Priority::Normal }
    }
}

/// The priority of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// It has slots by its weight.
    #[default]
    Normal,
    /// It has reserved slots ([`reserved_slots`]) that no other queue takes, and gets free slots first while critical and late
    /// queues have less than half of the pool.
    Critical,
}

/// Returns the number of slots of a pool of this size that are reserved for all its critical queues together: a tenth, at least
/// one.
pub fn reserved_slots(size: usize) -> usize {
    (size / 10).max(1)
}
