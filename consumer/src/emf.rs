//! The metrics of `/metrics` in CloudWatch's embedded metric format: once a minute, and at the end.
//!
//! The registry is read once for each round of lines, so nothing is counted a second time when it happens.

mod rounds;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tracing::warn;

use drumline_runtime::EmfLines;

use crate::depth::Depths;
use crate::metrics::Metrics;
use rounds::Rounds;

/// The time between two rounds of lines: the resolution of CloudWatch's standard metrics.
const EVERY: Duration = Duration::from_secs(60);

/// How long the last lines may take: a reader of standard output that has stopped must not delay the end of the process.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Writes the lines of a round.
type Print = Arc<dyn Fn(EmfLines) + Send + Sync>;

/// Writes the metrics of a process until it is stopped.
pub(crate) struct Emf {
    stop: oneshot::Sender<()>,
    writer: JoinHandle<()>,
}

impl Emf {
    /// Writes to standard output from now on.
    pub(crate) fn start(metrics: Metrics, depths: Depths) -> Self {
        Self::start_with(metrics, depths, Arc::new(EmfLines::print))
    }

    fn start_with(metrics: Metrics, depths: Depths, print: Print) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, writer: tokio::spawn(write(metrics, depths, print, stopped)) }
    }

    /// Writes what has changed since the last lines.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        match timeout(LAST_LINES, self.writer).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the last metrics could not be written"),
            Err(_) => warn!("the last metrics could not be written in time"),
        }
    }
}

async fn write(metrics: Metrics, depths: Depths, print: Print, mut stopped: oneshot::Receiver<()>) {
    let mut rounds = Rounds::default();
    let mut minute = interval_at(Instant::now() + EVERY, EVERY);
    minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Cancel-safe: the stop is polled by reference, and nothing follows a tick that is missed for it.
        let is_last = tokio::select! {
            _ = minute.tick() => false,
            _ = &mut stopped => true,
        };
        if !is_last {
            depths.refresh().await;
        }
        let (metrics, print) = (metrics.clone(), Arc::clone(&print));
        // Standard output may block, and a large registry takes milliseconds to encode: neither may delay a renewal.
        let written = spawn_blocking(move || {
            print(rounds.next(&metrics.encode()));
            rounds
        });
        match written.await {
            Ok(written) => rounds = written,
            Err(error) => return warn!(%error, "metrics are not written any more"),
        }
        if is_last {
            return;
        }
    }
}
