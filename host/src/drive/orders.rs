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

    /// Limits the tenants of the queue to their share of its slots, as many as there are now.
    pub(super) fn share_tenants(&self) {
        let policy = self.ledger.policy();
        if let (Some(limits), Some(share)) = (&self.limits, policy.tenant_share.filter(|_| !policy.fifo)) {
            limits.set_tenant_share(self.observer.queue(), share, policy.concurrency);
        }
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
        let before = self.ledger.policy().concurrency;
        self.ledger.set_concurrency(concurrency);
        if self.ledger.policy().concurrency != before {
            self.share_tenants();
        }
    }
}
