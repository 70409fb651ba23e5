//! The clients of queues.

use std::collections::HashMap;
use std::time::Duration;

use drumline_runtime::aws::{Clients, SqsClientSwitch, connect, connect_at, resolve};
use tokio::sync::Mutex;
use url::Url;

use crate::connect_error::ConnectError;
use crate::target_queue::TargetQueue;

/// The clients by the origin of their queues' URLs: queues of one region and endpoint share clients.
#[derive(Debug)]
pub(crate) struct Connections {
    /// The endpoint of all requests, which replaces the environment's endpoint.
    endpoint: Option<String>,
    sqs_client: SqsClientSwitch,
    clients: Mutex<HashMap<String, Clients>>,
}

impl Connections {
    /// Connects to this endpoint, if one is given. The switch selects the client that sends messages.
    pub(crate) fn at(endpoint: Option<String>, sqs_client: SqsClientSwitch) -> Self {
        Self { endpoint, sqs_client, clients: Mutex::default() }
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
        let clients = clients.map_err(ConnectError::Aws)?.by(&self.sqs_client);
        Ok(by_origin.entry(origin).or_insert(clients).clone())
    }

    pub(crate) async fn queue(&self, url: &Url) -> Result<TargetQueue, ConnectError> {
        let clients = self.to(url).await?;
        let url = resolve(&clients, url).await.map_err(ConnectError::Queue)?;
        Ok(TargetQueue::connected(clients, url.into()))
    }
}
