//! An operator's orders for one queue, as its loop follows them.

use std::num::NonZeroUsize;

use drumline::core::{Pause, PauseReason, Probe};
use tokio::sync::watch;

use super::Driver;
use super::branches::now;

/// What holds for one queue while the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueOrders {
    /// The queue is not received from. What is in hand runs to its end.
    pub is_paused: bool,
    /// The number of handlers that run at once.
    pub concurrency: NonZeroUsize,
}

impl Driver {
    /// Has the loop follow these orders, and their changes: from its beginning, before anything is received.
    pub fn follow_orders(&mut self, orders: watch::Receiver<QueueOrders>) {
        self.orders = Some(orders);
    }

    /// Brings the ledger in line with the orders.
    pub(super) fn obey_orders(&mut self) {
        let Some(orders) = &mut self.orders else { return };
        let QueueOrders { is_paused, concurrency } = *orders.borrow_and_update();
        let reason = PauseReason::Operator;
        if is_paused {
            self.ledger.pause(now(), Pause { reason, probe: Probe::Operator });
        } else {
            self.ledger.resume(now(), reason);
        }
        self.ledger.set_concurrency(concurrency);
    }
}
