//! The operator's part of the loop: the orders for its queue.

use drumline::core::{Pause, PauseReason, Probe};
use tokio::sync::watch;

use super::Driver;
use super::branches::now;
use super::queue_orders::QueueOrders;

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
