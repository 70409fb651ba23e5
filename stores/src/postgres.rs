//! A store in PostgreSQL.

use std::sync::Arc;

use url::Url;

use crate::memory::MemoryStore;
use crate::open::OpenError;
use crate::store::{Keep, StoreError};

/// A store in PostgreSQL.
#[derive(Debug)]
pub struct PostgresStore;

impl PostgresStore {
    /// Not there yet.
    #[allow(clippy::unused_async)]
    pub async fn connect(_: &Url, _: Arc<str>, _: Keep) -> Result<MemoryStore, OpenError> {
        Err(OpenError::Unavailable(StoreError("not there yet".to_owned())))
    }
}

#[allow(clippy::unnecessary_wraps)]
pub(crate) fn check(_: &Url) -> Result<(), String> {
    Ok(())
}
