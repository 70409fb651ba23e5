//! A store in DynamoDB.

use std::sync::Arc;

use url::Url;

use crate::memory::MemoryStore;
use crate::open::{Location, OpenError};
use crate::store::{Keep, StoreError};

/// A store in DynamoDB.
#[derive(Debug)]
pub struct DynamoStore;

impl DynamoStore {
    /// Not there yet.
    #[allow(clippy::unused_async)]
    pub async fn connect(_: &str, _: Option<String>, _: Arc<str>, _: Keep) -> Result<MemoryStore, OpenError> {
        Err(OpenError::Unavailable(StoreError("not there yet".to_owned())))
    }
}

#[allow(clippy::unnecessary_wraps)]
pub(crate) fn location(url: &Url) -> Result<Location, String> {
    Ok(Location::DynamoDb { table: url.host_str().unwrap_or_default().to_owned(), region: None })
}
