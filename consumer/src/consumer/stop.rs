//! The end of a consumer, after the drain of its queues.

use std::time::Duration;

use drumline_runtime::ClaimStoreClient;
use tokio::time::{Instant, timeout_at};

use super::relay::InProcessRelay;
use crate::depth::Depths;
use crate::dlq_watch::Watches;
use crate::emf::Emf;

/// The time for all work after the drain. A part of the time within which a process ends in its grace: see `LEAST_FOR_HOOK` in
/// `app.rs`.
pub(super) const AFTER_DRAIN: Duration = Duration::from_secs(1);

/// The part of [`AFTER_DRAIN`] before the last metrics. The rest is enough to write to standard output, which may be a pipe.
const BEFORE_METRICS: Duration = Duration::from_millis(700);

/// Ends the watches and the relay, writes the last failures, and then writes the last metrics, all within [`AFTER_DRAIN`].
pub(super) async fn stop(
    watches: &Watches,
    claim_store: &ClaimStoreClient,
    relay: Option<InProcessRelay>,
    emf: Option<(Emf, Depths)>,
) {
    let start = Instant::now();
    let stop_relay = async |at_most| {
        if let Some(relay) = relay {
            relay.stop(at_most).await;
        }
    };
    let Some((emf, depths)) = emf else {
        tokio::join!(watches.stop(AFTER_DRAIN), claim_store.settle(AFTER_DRAIN), stop_relay(AFTER_DRAIN));
        return;
    };
    // Depths that SQS does not report in time stay unchanged.
    let last_depths = timeout_at(start + BEFORE_METRICS, depths.refresh());
    // These parts count requests, so the last metrics follow them.
    let ((), (), (), _) = tokio::join!(
        watches.stop(BEFORE_METRICS),
        claim_store.settle(BEFORE_METRICS),
        stop_relay(BEFORE_METRICS),
        Box::pin(last_depths)
    );
    emf.stop(start + AFTER_DRAIN).await;
}
