//! The end of a consumer, after the drain of its queues.

use std::time::Duration;

use drumline_runtime::ClaimStoreClient;
use tokio::time::{Instant, timeout_at};

use crate::depth::Depths;
use crate::dlq_watch::Watches;
use crate::emf::Emf;

/// The time for everything after the drain. Part of what ends a process within its grace: see `LEAST_FOR_HOOK` in `app.rs`.
const AFTER_DRAIN: Duration = Duration::from_secs(1);

/// The part of [`AFTER_DRAIN`] that is kept for the last metrics: enough for a pipe, which is all that standard output may be.
const LAST_METRICS: Duration = Duration::from_millis(300);

/// Ends the watches, writes down the last failures, and then writes the last metrics, all within [`AFTER_DRAIN`].
pub(super) async fn stop(watches: &Watches, claim_store: &ClaimStoreClient, emf: Option<(Emf, Depths)>) {
    let end = Instant::now() + AFTER_DRAIN;
    let Some((emf, depths)) = emf else {
        tokio::join!(watches.stop(AFTER_DRAIN), claim_store.settle(AFTER_DRAIN));
        return;
    };
    // These count requests, so the last metrics follow them.
    let at_most = AFTER_DRAIN - LAST_METRICS;
    // Depths that SQS does not report in time stay as they are.
    let last_depths = timeout_at(end - LAST_METRICS, depths.refresh());
    let ((), (), _) = tokio::join!(watches.stop(at_most), claim_store.settle(at_most), Box::pin(last_depths));
    emf.stop(end).await;
}
