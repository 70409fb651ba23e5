//! Waits for conditions.

use std::time::{Duration, Instant};

/// The time limit for anything that should happen at once. A machine that also compiles and runs other tests is slow.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The interval between two checks of a condition.
const LOOK: Duration = Duration::from_millis(25);

/// Waits until `condition` holds, for [`PATIENCE`] at most.
///
/// # Panics
/// If it does not hold in time. The message contains `what`.
pub async fn eventually(what: &str, condition: impl AsyncFnMut() -> bool) {
    eventually_within(PATIENCE, what, condition).await;
}

/// Does the same as [`eventually`], for conditions that take longer.
///
/// # Panics
/// If it does not hold within `patience`. The message contains `what`.
pub async fn eventually_within(patience: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < patience, "waited {patience:?} in vain until {what}");
        tokio::time::sleep(LOOK).await;
    }
}
