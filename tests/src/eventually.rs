//! Waiting for what has to happen, and no longer.

use std::time::{Duration, Instant};

/// How long anything may take that should happen at once: a machine that also compiles and runs other tests is slow.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(25);

/// Waits until `condition` holds, for [`PATIENCE`] at most.
///
/// # Panics
/// When it does not come to hold, naming `what` was waited for.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain until {what}");
        tokio::time::sleep(LOOK).await;
    }
}
