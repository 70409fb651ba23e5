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
pub async fn eventually(what: &str, condition: impl AsyncFnMut() -> bool) {
    eventually_within(PATIENCE, what, condition).await;
}

/// As [`eventually`], for what takes its time.
///
/// # Panics
/// When it does not come to hold within `patience`, naming `what` was waited for.
pub async fn eventually_within(patience: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < patience, "waited {patience:?} in vain until {what}");
        tokio::time::sleep(LOOK).await;
    }
}
