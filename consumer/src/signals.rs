//! SIGTERM and SIGINT: the first drains, the second ends the process at once.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tracing::{debug, error, info};

/// A signal that comes again within this time is the same request: `timeout` and some supervisors signal a process and then
/// its group.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// SIGTERM and SIGINT, caught instead of ending the process.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Catches the signals from now on. Must be called within a tokio runtime.
    pub fn catch() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Completes with the first signal. Half a second later and from then on, another one ends the process with status 1.
    pub async fn first(mut self) {
        let name = self.next().await;
        let first_at = Instant::now();
        info!(signal = name, "stopping; once more to stop at once");
        tokio::spawn(async move {
            let mut name = self.next().await;
            while first_at.elapsed() < SAME_REQUEST {
                debug!(signal = name, "the same signal again, ignored");
                name = self.next().await;
            }
            error!(signal = name, "stopped at once: messages in hand become visible when their leases end");
            std::process::exit(1);
        });
    }

    async fn next(&mut self) -> &'static str {
        // Cancel-safe: a signal that was not read stays for the next call.
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
