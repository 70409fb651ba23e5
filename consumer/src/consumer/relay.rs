//! The relay of a worker with `outbox_relay = on`: it sends the jobs of its store's outbox, so that no other process is needed.

use std::sync::Arc;
use std::time::Duration;

use drumline_producer::Producer;
use drumline_producer::outbox::{Relay, RelayObserver};
use drumline_runtime::Settings;
use drumline_store::outbox::Outbox;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

/// The time for which jobs wait after a kill of the worker that was about to send them. Several times the length of a request.
const LEASE: Duration = Duration::from_secs(10);

/// The wait before another try to reach the queues of the settings, or to relay.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// A running relay. Dropping it ends it: its jobs then wait until its lease ends.
pub(super) struct InProcessRelay {
    /// Dropped to stop the relay.
    stop: watch::Sender<()>,
    running: JoinHandle<()>,
}

impl InProcessRelay {
    /// Starts to relay to the queues of these settings.
    pub(super) fn start(
        outbox: Arc<dyn Outbox>,
        settings: Settings,
        observer: Arc<dyn RelayObserver>,
    ) -> Self {
        let (stop, stopped) = watch::channel(());
        let run = move |stopped| relay(Arc::clone(&outbox), settings.clone(), Arc::clone(&observer), stopped);
        Self { stop, running: tokio::spawn(keep_running(run, stopped)) }
    }

    /// Stops the relay after the requests in flight, within this time.
    pub(super) async fn stop(mut self, at_most: Duration) {
        drop(self.stop);
        match timeout(at_most, &mut self.running).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(%error, "the relay has panicked"),
            Err(_) => {
                self.running.abort();
                warn!("relay not stopped in time: its jobs wait for the end of its lease");
            }
        }
    }
}

/// Runs a relay until it is stopped, and restarts it after each panic: otherwise next jobs of done jobs would not be sent.
async fn keep_running<F>(relay: impl Fn(watch::Receiver<()>) -> F, stopped: watch::Receiver<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        // The task ends with this future, unlike a detached task.
        let mut task = JoinSet::new();
        task.spawn(relay(stopped.clone()));
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                let again_in_secs = TRY_AGAIN.as_secs();
                error!(%error, again_in_secs, "the relay has panicked: started again");
            }
            _ => return,
        }
        tokio::select! {
            () = sleep(TRY_AGAIN) => {}
            () = until(stopped.clone()) => return,
        }
    }
}

async fn relay(
    outbox: Arc<dyn Outbox>,
    settings: Settings,
    observer: Arc<dyn RelayObserver>,
    stopped: watch::Receiver<()>,
) {
    let producer = tokio::select! {
        producer = connect(&settings) => producer,
        () = until(stopped.clone()) => return,
    };
    info!("relaying the outbox of the store");
    Relay::new(outbox, producer).observed(observer).lease(LEASE).run(until(stopped)).await;
}

/// Waits until the sender is dropped.
async fn until(mut stopped: watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}

async fn connect(settings: &Settings) -> Producer {
    loop {
        match Producer::from_settings(settings).await {
            Ok(producer) => return producer,
            Err(error) => error!(%error, "the queues of the outbox cannot be reached: tried again"),
        }
        sleep(TRY_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_relay_that_panics_is_followed_by_another_until_the_stop() {
        let starts = Arc::new(AtomicUsize::new(0));
        let (stop, stopped) = watch::channel(());
        let counted = Arc::clone(&starts);
        let relay = move |stopped: watch::Receiver<()>| {
            let nth = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                assert!(nth >= 2, "on purpose");
                until(stopped).await;
            }
        };
        let running = tokio::spawn(keep_running(relay, stopped));
        sleep(5 * TRY_AGAIN).await;
        assert_eq!(starts.load(Ordering::Relaxed), 3, "it runs since the third start");
        assert!(!running.is_finished());
        drop(stop);
        running.await.unwrap();
    }
}
