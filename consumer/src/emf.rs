//! The metrics of `/metrics` in CloudWatch's embedded metric format: once a minute, and at the end.
//!
//! The registry is read once for each round of lines, so events are counted only once.

mod rounds;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};
use tracing::warn;

use drumline_runtime::EmfLines;

use crate::depth::Depths;
use crate::metrics::Metrics;
use rounds::Rounds;

/// The time between two rounds of lines: the resolution of CloudWatch's standard metrics.
const EVERY: Duration = Duration::from_secs(60);

/// Writes the lines of a round.
type Print = Arc<dyn Fn(EmfLines) + Send + Sync>;

/// Writes the metrics of a process until it is stopped.
pub(crate) struct Emf {
    stop: oneshot::Sender<()>,
    writer: JoinHandle<()>,
}

impl Emf {
    /// Starts writing to standard output.
    pub(crate) fn start(metrics: Metrics, depths: Depths) -> Self {
        Self::start_every(EVERY, metrics, depths, Arc::new(EmfLines::print))
    }

    fn start_every(every: Duration, metrics: Metrics, depths: Depths, print: Print) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, writer: tokio::spawn(write(every, metrics, depths, print, stopped)) }
    }

    /// Writes the changes since the last lines, until `end` at most, because a stalled reader of standard output must not delay
    /// the end of the process.
    pub(crate) async fn stop(self, end: Instant) {
        drop(self.stop);
        match timeout_at(end, self.writer).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the last metrics could not be written"),
            Err(_) => warn!("the last metrics could not be written in time"),
        }
    }
}

async fn write(
    every: Duration,
    metrics: Metrics,
    depths: Depths,
    print: Print,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut rounds = Rounds::default();
    let mut next = interval_at(Instant::now() + every, every);
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // A slow SQS must not delay the last round.
        let next_round = async {
            next.tick().await;
            depths.refresh().await;
        };
        let is_last = tokio::select! {
            () = next_round => false,
            _ = &mut stopped => true,
        };
        let (metrics, print) = (metrics.clone(), Arc::clone(&print));
        let written = on_a_thread(move || {
            print(rounds.next(&metrics.encode()));
            rounds
        });
        match written.await {
            Ok(written) => rounds = written,
            Err(error) => return warn!(error, "metrics are not written any more"),
        }
        if is_last {
            return;
        }
    }
}

/// Runs `work` on its own thread. Standard output may block, and encoding a large registry takes milliseconds: neither may
/// delay a renewal. A thread of the runtime for blocking work would delay the end of the program's runtime.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (done, result) = oneshot::channel();
    // After the end, no task waits for the result.
    let run = move || drop(done.send(work()));
    Builder::new().name("drumline-emf".to_owned()).spawn(run).map_err(|error| error.to_string())?;
    result.await.map_err(|_| "the thread that writes them has panicked".to_owned())
}
