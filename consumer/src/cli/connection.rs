//! The clients of a command. It has no log, so warnings about settings go to standard error.

use std::time::Duration;

use drumline_host::aws::{Clients, connect};
use url::Url;

use super::exit::Failed;

/// Sets the clients up for the queue at `url`.
#[allow(clippy::print_stderr, reason = "what a command tells besides its output")]
pub(super) async fn connect_to(url: &Url, wait_time: Duration) -> Result<Clients, Failed> {
    let clients = connect(url, wait_time).await.map_err(Failed::usage)?;
    for warning in &*clients.warnings {
        eprintln!("drumline: {warning}");
    }
    Ok(clients)
}
