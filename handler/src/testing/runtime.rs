//! The clock and the threads of tests, for handlers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// A wait.
type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The clock and the threads of an async runtime, for handlers under test. See [`Tester::on`](super::Tester::on).
#[derive(Clone, Copy)]
pub struct TestRuntime {
    /// Reads the clock.
    pub now: fn() -> Instant,
    /// Waits.
    pub sleep: fn(Duration) -> Sleep,
    /// Runs blocking work.
    pub spawn_blocking: fn(Box<dyn FnOnce() + Send>),
}

impl fmt::Debug for TestRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestRuntime").finish_non_exhaustive()
    }
}

/// Reads the clock of the machine, from which the deadline of a run is computed.
#[allow(
    clippy::disallowed_methods,
    reason = "a handler compares its deadline with this clock, and decisions do not read it"
)]
pub(super) fn machine_time() -> Instant {
    Instant::now()
}
