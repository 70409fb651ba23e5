//! The endpoint and the CloudWatch metrics of a process that relays an outbox.

use std::sync::Arc;
use std::time::Duration;

use drumline::run::NoopObserver;
use drumline_producer::outbox::RelayObserver;
use drumline_runtime::{Settings, http_connections, raise_descriptor_limit};
use drumline_store::outbox::Outbox;
use tokio::time::{Instant, timeout_at};

use crate::depth::Depths;
use crate::emf::Emf;
use crate::http::{Endpoint, RelayReadiness};
use crate::metrics::Metrics;
use crate::start_error::StartError;

/// The time limit for the last metrics.
const LAST_METRICS: Duration = Duration::from_secs(1);

/// The part of [`LAST_METRICS`] in which the outbox may report its lag.
const LAST_LAG: Duration = Duration::from_millis(700);

/// The endpoint and the metrics of a process that relays an outbox and consumes no queue: `/livez`, `/readyz` and `/metrics` at the
/// settings' `http_addr`, and the embedded metric format if `emf` is on.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use drumline_consumer::{RelayEndpoint, Settings};
/// # use drumline_producer::{Producer, outbox::Relay};
/// # async fn example(settings: &Settings, producer: Producer, stop: impl Future<Output = ()>) -> Result<(), Box<dyn std::error::Error>> {
/// let url = settings.outbox_url.as_ref().ok_or("no outbox")?;
/// let outbox = drumline_store::outbox::open(url.expose().as_str(), settings.outbox_keep).await?;
/// let endpoint = RelayEndpoint::serve(settings, Arc::clone(&outbox)).await?;
/// Relay::new(outbox, producer).observed(endpoint.observer()).run(stop).await;
/// endpoint.close().await;
/// # Ok(()) }
/// ```
pub struct RelayEndpoint {
    metrics: Metrics,
    depths: Depths,
    readiness: RelayReadiness,
    emf: Option<Emf>,
    _endpoint: Option<Endpoint>,
}

impl RelayEndpoint {
    /// Starts serving. Raises the process's limit of open files to the system's maximum.
    ///
    /// # Errors
    /// If the address is in use or not allowed.
    pub async fn serve(settings: &Settings, outbox: Arc<dyn Outbox>) -> Result<Self, StartError> {
        let metrics = Metrics::new();
        // Shown from the start, even before a job is sent.
        metrics.outbox();
        let depths = Depths::new(metrics.clone(), Arc::new(NoopObserver));
        depths.watch_outbox(Arc::clone(&outbox));
        let readiness = RelayReadiness::new(outbox);
        let connections = http_connections(raise_descriptor_limit());
        let endpoint = match settings.http_addr {
            Some(addr) => {
                let shown = (metrics.clone(), depths.clone());
                let endpoint = Endpoint::serve_relay(addr, shown, readiness.clone(), connections).await;
                Some(endpoint.map_err(|error| StartError::Http { addr, error })?)
            }
            None => None,
        };
        let emf = settings.emf.then(|| Emf::start(metrics.clone(), depths.clone()));
        Ok(Self { metrics, depths, readiness, emf, _endpoint: endpoint })
    }

    /// Returns the observer that counts for the relay.
    pub fn observer(&self) -> Arc<dyn RelayObserver> {
        self.metrics.relay()
    }

    /// Reports from now on that the process is not ready, because it drains.
    pub fn drain(&self) {
        self.readiness.drain();
    }

    /// Writes the last metrics, within a second, and stops serving.
    pub async fn close(self) {
        let Some(emf) = self.emf else { return };
        let start = Instant::now();
        // A lag that is not known in time stays unchanged.
        let _ = timeout_at(start + LAST_LAG, self.depths.refresh()).await;
        emf.stop(start + LAST_METRICS).await;
    }
}
