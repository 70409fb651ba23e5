//! Sets up clients for the queues in the settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use drumline_runtime::aws::{SqsClientSwitch, queue_name};
use drumline_runtime::{Environment, Settings};

use crate::check::Checks;
use crate::connect_error::ConnectError;
use crate::connections::Connections;
use crate::later::{OutboxServer, Places, StoreServer};
use crate::payload::PayloadStore;
use crate::routes::{Others, Routes};

/// Reads the settings of this process: variables, and the file that `DRUMLINE_CONFIG` names.
pub(crate) fn settings_of_process() -> Result<Settings, ConnectError> {
    let settings = Environment::of_process().settings_of_tool(&BTreeMap::new(), None);
    settings.map_err(ConnectError::Settings)
}

/// Sets up the clients for the queues of the settings.
pub(crate) async fn routes(settings: &Settings) -> Result<Routes, ConnectError> {
    let urls = || settings.queues.iter().map(|queue| &queue.url);
    let first = urls().chain(settings.queue_by_type.values()).next().ok_or(ConnectError::NoQueue)?;
    let connections = Connections::at(None, SqsClientSwitch::new(settings.sqs_client));
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
    routes.urls = urls().cloned().collect();
    routes.connections = Some((clients, Arc::new(connections)));
    Ok(routes)
}

/// Returns the places for waiting jobs in the settings. Their servers are connected when a job needs them.
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
