//! The relay of a worker whose store is PostgreSQL: it sends the jobs that were added with marks, so that no other process need run.

use std::sync::Arc;
use std::time::Duration;

use drumline_producer::Producer;
use drumline_producer::outbox::{Relay, RelayObserver, RelaySummary};
use drumline_runtime::Settings;
use drumline_store::outbox::{self, Outbox};
use drumline_store::{Location, Store};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

/// For how long jobs wait after a worker was killed that was about to send them. Several times the length of a request.
const LEASE: Duration = Duration::from_secs(10);

/// The wait before another try to reach the queues of the settings.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Returns the outbox of the store, if the store adds jobs to it. Without one, the jobs that follow are sent before the mark.
pub(super) async fn outbox_of(settings: &Settings, store: &dyn Store) -> Option<Arc<dyn Outbox>> {
    let Location::Postgres(url) = &settings.store.location else { return None };
    if !store.adds_next_jobs() {
        return None;
    }
    match outbox::open(url.expose().as_str(), settings.outbox_keep).await {
        Ok(outbox) => Some(outbox),
        Err(error) => {
            warn!(%error, "outbox of the store not opened: next jobs are sent before the mark");
            None
        }
    }
}

/// A relay that runs. Dropping it ends it: its jobs wait for the end of its lease then.
pub(super) struct InProcessRelay {
    stop: oneshot::Sender<()>,
    running: JoinHandle<Option<RelaySummary>>,
}

impl InProcessRelay {
    /// Starts to relay. Requests go to `endpoint`, if one is given.
    pub(super) fn start(
        outbox: Arc<dyn Outbox>,
        settings: Settings,
        endpoint: Option<String>,
        observer: Arc<dyn RelayObserver>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let mut stopped = std::pin::pin!(async move { drop(stopped.await) });
            let producer = tokio::select! {
                producer = connect(&settings, endpoint) => producer,
                () = &mut stopped => return None,
            };
            info!("relaying the outbox of the store");
            Some(Relay::new(outbox, producer).observed(observer).lease(LEASE).run(stopped).await)
        });
        Self { stop, running }
    }

    /// Stops it after the requests in flight, within this time.
    pub(super) async fn stop(mut self, at_most: Duration) {
        drop(self.stop);
        match timeout(at_most, &mut self.running).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => error!(%error, "the relay has panicked"),
            Err(_) => {
                self.running.abort();
                warn!("relay not stopped in time: its jobs wait for the end of its lease");
            }
        }
    }
}

async fn connect(settings: &Settings, endpoint: Option<String>) -> Producer {
    loop {
        match Producer::from_settings_at(settings, endpoint.clone()).await {
            Ok(producer) => return producer,
            Err(error) => error!(%error, "the queues of the outbox cannot be reached: tried again"),
        }
        sleep(TRY_AGAIN).await;
    }
}
