//! The HTTP endpoint of a worker from its first moment on, so that probes and people see why it has not started.

use drumline_runtime::{Settings, http_connections, raise_descriptor_limit};
use tracing::info;

use crate::http::{Door, Endpoint, Shown, replaced_within};
use crate::start_error::StartError;
use crate::start_wait::StartWait;

/// The endpoint of a worker; none without an address. Until the worker has started, it shows what the start waits for.
pub(crate) struct EarlyEndpoint {
    wait: StartWait,
    /// The limit of open files, if it is known.
    descriptors: Option<u64>,
    served: Option<Served>,
}

struct Served {
    endpoint: Endpoint,
    door: Door,
}

impl EarlyEndpoint {
    /// Serves at the address of the settings, or waits for it in the background if it is in use. Raises the limit of open files before
    /// that.
    ///
    /// # Errors
    /// If the address cannot be used for another reason.
    pub(crate) async fn start(settings: &Settings) -> Result<Self, StartError> {
        let (wait, descriptors) = (StartWait::default(), raise_descriptor_limit());
        let Some(addr) = settings.http_addr else { return Ok(Self { wait, descriptors, served: None }) };
        let door = Door::new(addr, &settings.http_access);
        if door.is_closed() {
            info!(
                %addr,
                "the HTTP endpoint is reachable beyond the loopback interface, so it serves /livez, /readyz and /metrics \
                 only; for /jobs, /gate and /control set DRUMLINE_HTTP_TOKEN, or DRUMLINE_ALLOW_REMOTE=on"
            );
        }
        let connections = http_connections(descriptors);
        let endpoint =
            Endpoint::start(addr, replaced_within(settings), wait.clone(), door.clone(), connections).await;
        let endpoint = endpoint.map_err(|error| StartError::Http { addr, error })?;
        Ok(Self { wait, descriptors, served: Some(Served { endpoint, door }) })
    }

    /// Returns the wait that the endpoint shows.
    pub(crate) fn wait(&self) -> &StartWait {
        &self.wait
    }

    /// Returns the limit of open files, if it is known.
    pub(crate) fn descriptors(&self) -> Option<u64> {
        self.descriptors
    }

    /// The worker has started: shows it from now on.
    pub(crate) fn show(&self, shown: Shown) {
        if let Some(Served { endpoint, door }) = &self.served {
            endpoint.show(shown, door.clone());
        }
    }
}
