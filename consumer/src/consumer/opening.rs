//! Opens the store of a consumer, and the outbox if the consumer relays it.

use std::sync::Arc;
use std::time::Duration;

use drumline::run::Observer;
use drumline_runtime::{ClaimStoreClient, Settings};
use drumline_store::outbox::{self, Outbox};
use drumline_store::{Location, OpenError, Store};
use tokio::runtime::Handle;
use tokio::time::sleep;
use tracing::warn;

use crate::start_error::StartError;
use crate::start_wait::StartWait;

/// The number of requests to each at the start, with waits between them: long enough for a container's network, short enough to
/// report a wrong setting soon.
const START_TRIES: u32 = 3;
const START_WAIT: Duration = Duration::from_secs(1);

const NO_OUTBOX: &str = "outbox_relay is on, but the store's database has no outbox that this role may use: run `drumline outbox migrate`, \
    and grant SELECT, INSERT, UPDATE and DELETE on its tables";

pub(super) async fn open_store(
    settings: &Settings,
    observer: &Arc<dyn Observer>,
    wait: &StartWait,
) -> Result<ClaimStoreClient, StartError> {
    wait.begins("the store", Some(settings.store.location.to_string()));
    let open = || ClaimStoreClient::open(&settings.store, Arc::clone(observer), Handle::current());
    with_retry(wait, "store", open).await.map_err(StartError::Store)
}

/// Opens the outbox of the store.
pub(super) async fn open_outbox(
    settings: &Settings,
    store: &dyn Store,
    wait: &StartWait,
) -> Result<Arc<dyn Outbox>, StartError> {
    wait.begins("the outbox of the store", Some(settings.store.location.to_string()));
    let Location::Postgres(url) = &settings.store.location else {
        return Err(StartError::Settings("outbox_relay needs store_url = postgres://…".to_owned()));
    };
    let open = || outbox::open(url.expose().as_str(), settings.outbox_keep);
    let outbox = with_retry(wait, "outbox", open).await.map_err(StartError::Outbox)?;
    if !store.adds_next_jobs() {
        return Err(StartError::Settings(NO_OUTBOX.to_owned()));
    }
    Ok(outbox)
}

async fn with_retry<T, F>(
    wait: &StartWait,
    opened: &'static str,
    mut open: impl FnMut() -> F,
) -> Result<T, OpenError>
where
    F: Future<Output = Result<T, OpenError>>,
{
    let mut tries = 1;
    loop {
        match open().await {
            Err(OpenError::Unavailable(error)) if tries < START_TRIES => {
                warn!(%error, "the {opened} does not answer yet");
                wait.failed(&error.to_string());
                tries += 1;
                sleep(START_WAIT).await;
            }
            result => return result,
        }
    }
}
