//! The futures that the loop waits for. Each is cancel-safe.

use std::time::{Duration, Instant};

use event_listener::EventListener;
use tokio::sync::watch;

use super::queue_orders::QueueOrders;
use crate::sqs::BoxFuture;

/// The length of leases, once it is known.
pub(super) async fn answer(lease: &mut Option<BoxFuture<Option<Duration>>>) -> Option<Duration> {
    match lease {
        Some(lease) => lease.await,
        None => std::future::pending().await,
    }
}

/// Waits for a change, and returns true if the store responds.
pub(super) async fn change(store: &mut Option<watch::Receiver<bool>>) -> bool {
    let Some(answers) = store else { return std::future::pending().await };
    match answers.changed().await {
        Ok(()) => *answers.borrow_and_update(),
        // The claim store client lives as long as this loop.
        Err(_) => std::future::pending().await,
    }
}

/// A change of the operator's orders.
pub(super) async fn new_orders(orders: &mut Option<watch::Receiver<QueueOrders>>) {
    let Some(orders) = orders else { return std::future::pending().await };
    if orders.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// A change that is listened to: of the limits of the process's jobs, or of its slots.
pub(super) async fn event(changed: Option<&mut EventListener>) {
    match changed {
        Some(changed) => changed.await,
        None => std::future::pending().await,
    }
}

pub(super) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Tokio's clock, which tests can pause.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
