//! An operator's orders for one queue, as its loop follows them.

use std::num::NonZeroUsize;

/// The orders for one queue while the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueOrders {
    /// The queue is not received from. What is in hand runs to its end.
    pub is_paused: bool,
    /// The number of handlers that run at once.
    pub concurrency: NonZeroUsize,
}
