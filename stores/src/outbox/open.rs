//! From a URL to an outbox.

use std::sync::Arc;
use std::time::Duration;

use super::interface::Outbox;
use super::memory::MemoryOutbox;
use crate::open::{Location, OpenError};

/// Opens the outbox at `url`: `postgres://…`, `redis://…` or, for tests, `memory:`, which is lost with the process.
///
/// `keep_sent` is for how long jobs stay after they were sent, for people to look at; unique jobs stay as long as their key is held in
/// any case.
///
/// # Errors
/// If the URL is none of an outbox, the server does not answer, or the role of PostgreSQL lacks a right that a relay needs.
pub async fn open(url: &str, keep_sent: Duration) -> Result<Arc<dyn Outbox>, OpenError> {
    match url.parse::<Location>()? {
        #[cfg(feature = "postgres")]
        Location::Postgres(server) => {
            Ok(Arc::new(super::postgres::PostgresOutbox::connect(server.expose(), keep_sent).await?))
        }
        _ => open_to_add(url, keep_sent).await,
    }
}

/// Opens the outbox at `url` for a producer: as [`open`], but the role of PostgreSQL needs the rights of its calls only, which is INSERT
/// on `drumline_outbox` for [`add`](Outbox::add).
///
/// # Errors
/// If the URL is none of an outbox, or the server does not answer.
pub async fn open_to_add(url: &str, keep_sent: Duration) -> Result<Arc<dyn Outbox>, OpenError> {
    match url.parse::<Location>()? {
        Location::Memory => Ok(Arc::new(MemoryOutbox::new(keep_sent))),
        #[cfg(feature = "postgres")]
        Location::Postgres(server) => {
            Ok(Arc::new(super::postgres::PostgresOutbox::connect_to_add(server.expose(), keep_sent).await?))
        }
        #[cfg(feature = "redis")]
        Location::Redis(server) => {
            Ok(Arc::new(super::redis::RedisOutbox::connect(server.expose(), keep_sent).await?))
        }
        _ => Err(OpenError::Url("an outbox is postgres://… or redis://…".to_owned())),
    }
}
