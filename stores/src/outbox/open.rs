//! Opens the outbox at a URL.

use std::sync::Arc;
use std::time::Duration;

use super::interface::Outbox;
use super::memory::MemoryOutbox;
use crate::open::{Location, OpenError};

/// Opens the outbox at `url`: `postgres://…`, `redis://…` or, for tests, `memory:`, which is lost with the process.
///
/// `keep_sent` is the time for which sent jobs are kept for people; unique jobs are kept at least as long as they hold their
/// key.
///
/// # Errors
///
/// Returns an error if the URL is not the URL of an outbox, if the server does not answer, or if the role of PostgreSQL lacks a
/// right that a relay needs.
pub async fn open(url: &str, keep_sent: Duration) -> Result<Arc<dyn Outbox>, OpenError> {
    match url.parse::<Location>()? {
        #[cfg(feature = "postgres")]
        Location::Postgres(server) => {
            Ok(Arc::new(super::postgres::PostgresOutbox::connect(server.expose(), keep_sent).await?))
        }
        _ => open_to_add(url, keep_sent).await,
    }
}

/// Opens the outbox at `url` for a producer, like [`open`], but the role of PostgreSQL needs only the rights for its calls:
/// INSERT on `drumline_outbox` for [`add`](Outbox::add).
///
/// # Errors
///
/// Returns an error if the URL is not the URL of an outbox, or if the server does not answer.
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
