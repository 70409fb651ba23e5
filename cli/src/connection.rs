//! The AWS clients of a command. A command has no log, so warnings about settings go to standard error.

use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_runtime::QueueSettings;
use drumline_runtime::aws::{Clients, connect, name_of, queue_name, resolve};
use url::Url;

use crate::format::note;

/// Sets up the clients for the queue at `url`. Returns them with the queue's URL; if `url` is a queue's name, SQS is asked for
/// the URL.
pub(crate) async fn connect_to(url: &Url, wait_time: Duration) -> Result<(Clients, Url), ExitError> {
    let clients = connect(url, wait_time).await.map_err(ExitError::usage)?;
    for warning in &*clients.warnings {
        note(warning);
    }
    let found = resolve(&clients, url).await;
    let found = found.map_err(|error| {
        ExitError::sqs(error.kind, format!("{} cannot be found: {}", queue_name(url.as_str()), error.text))
    })?;
    Ok((clients, found))
}

/// Returns the settings of a queue with its URL. If the settings have only the queue's name, SQS is asked for the URL.
pub(crate) async fn with_url(settings: &QueueSettings) -> Result<QueueSettings, ExitError> {
    let mut settings = settings.clone();
    if name_of(&settings.url).is_some() {
        settings.url = connect_to(&settings.url, settings.wait_time).await?.1;
    }
    Ok(settings)
}
