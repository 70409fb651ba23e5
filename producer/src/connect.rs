//! The queues that the settings name, with clients for them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use drumline_runtime::aws::{Clients, connect, connect_at, queue_name, resolve};
use drumline_runtime::{Environment, Problems, Settings, SqsError};
use tokio::sync::Mutex;
use url::Url;

use crate::check::Checks;
use crate::later::{OutboxServer, Places, StoreServer};
use crate::payload::PayloadStore;
use crate::routes::{Others, Routes};
use crate::target_queue::TargetQueue;

/// The reason for which there is no producer.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// Settings that cannot be used.
    Settings(Problems),
    /// No setting names a queue.
    NoQueue,
    /// AWS's own settings cannot be used, such as a region that is missing.
    Aws(String),
    /// A queue that is given by its name cannot be found.
    Queue(SqsError),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(problems) => problems.fmt(f),
            Self::NoQueue => f.write_str(
                "no queue is given: set DRUMLINE_QUEUE_URL, or \"TYPE\" = \"URL\" under [queue_by_type] in the file of settings",
            ),
            Self::Aws(text) => f.write_str(text),
            Self::Queue(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {}

/// Reads the settings of this process: variables, and the file that `DRUMLINE_CONFIG` names.
pub(crate) fn settings_of_process() -> Result<Settings, ConnectError> {
    let settings = Environment::of_process().settings_of_tool(&BTreeMap::new(), None);
    settings.map_err(ConnectError::Settings)
}

/// Sets up the clients for the queues of the settings.
pub(crate) async fn routes(settings: &Settings) -> Result<Routes, ConnectError> {
    let urls = || settings.queues.iter().map(|queue| &queue.url);
    let first = urls().chain(settings.queue_by_type.values()).next().ok_or(ConnectError::NoQueue)?;
    let connections = Connections::default();
    let clients = connections.to(first).await?;
    let others = match &settings.queues[..] {
        [] => Others::Nowhere,
        [only] => Others::To(connections.queue(&only.url).await?),
        _ => Others::Undecided(urls().map(|url| queue_name(url.as_str()).to_owned()).collect()),
    };
    let mut routes = Routes::new(clients.calls.clone(), others);
    routes.check_by(Checks::from_settings(&settings.guards));
    if PayloadStore::is_wanted(&settings.payloads) {
        let store = PayloadStore::new(&settings.payloads, &clients.config).map_err(ConnectError::Aws)?;
        routes.offload_to(store);
    }
    routes.places = places(settings);
    for (job_type, url) in &settings.queue_by_type {
        routes.by_type.insert(job_type.clone(), connections.queue(url).await?);
    }
    routes.connections = Some((clients, Arc::new(connections)));
    Ok(routes)
}

/// Returns what the settings have for jobs that wait. Servers are not asked before a job needs them.
fn places(settings: &Settings) -> Places {
    let outbox = settings.outbox_url.clone();
    let store = Some(&settings.store).filter(|store| store.location.outlives_its_process());
    Places {
        outbox: outbox.map(|url| OutboxServer::at(url, settings.outbox_keep)),
        store: store.map(|store| StoreServer::at(store.location.clone(), store.keep)),
        #[cfg(feature = "scheduler")]
        scheduler: None,
    }
}

/// The clients, by the origin of the URLs that they are for: queues of one region and endpoint share them.
#[derive(Default)]
pub(crate) struct Connections {
    /// The endpoint of all requests, in place of the one that the environment sets.
    endpoint: Option<String>,
    clients: HashMap<String, Clients>,
}

impl Connections {
    /// Connects to this endpoint, if one is given.
    pub(crate) fn at(endpoint: Option<String>) -> Self {
        Self { endpoint, clients: HashMap::new() }
    }

    pub(crate) async fn to(&mut self, url: &Url) -> Result<Clients, ConnectError> {
        let origin = url.origin().ascii_serialization();
        if let Some(clients) = self.clients.get(&origin) {
            return Ok(clients.clone());
        }
        let clients = match &self.endpoint {
            Some(endpoint) => connect_at(endpoint, url, Duration::ZERO).await,
            None => connect(url, Duration::ZERO).await,
        };
        let clients = clients.map_err(ConnectError::Aws)?;
        Ok(self.clients.entry(origin).or_insert(clients).clone())
    }

    pub(crate) async fn queue(&mut self, url: &Url) -> Result<TargetQueue, ConnectError> {
        let clients = self.to(url).await?;
        let url = resolve(&clients, url).await.map_err(ConnectError::Queue)?;
        Ok(TargetQueue::connected(clients, url.into()))
    }
}
