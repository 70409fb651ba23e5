//! Clients for queues, one for each endpoint.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use drumline_runtime::aws::{Clients, connect, connect_at, resolve};
use drumline_runtime::{Problems, SqsError};
use tokio::sync::Mutex;
use url::Url;

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

/// The clients, by the origin of the URLs that they are for: queues of one region and endpoint share them.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    /// The endpoint of all requests, in place of the one that the environment sets.
    endpoint: Option<String>,
    clients: Mutex<HashMap<String, Clients>>,
}

impl Connections {
    /// Connects to this endpoint, if one is given.
    pub(crate) fn at(endpoint: Option<String>) -> Self {
        Self { endpoint, clients: Mutex::default() }
    }

    pub(crate) async fn to(&self, url: &Url) -> Result<Clients, ConnectError> {
        let origin = url.origin().ascii_serialization();
        let mut by_origin = self.clients.lock().await;
        if let Some(clients) = by_origin.get(&origin) {
            return Ok(clients.clone());
        }
        let clients = match &self.endpoint {
            Some(endpoint) => connect_at(endpoint, url, Duration::ZERO).await,
            None => connect(url, Duration::ZERO).await,
        };
        let clients = clients.map_err(ConnectError::Aws)?;
        Ok(by_origin.entry(origin).or_insert(clients).clone())
    }

    pub(crate) async fn queue(&self, url: &Url) -> Result<TargetQueue, ConnectError> {
        let clients = self.to(url).await?;
        let url = resolve(&clients, url).await.map_err(ConnectError::Queue)?;
        Ok(TargetQueue::connected(clients, url.into()))
    }
}
