//! From a URL to a store.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use url::Url;

use crate::memory::MemoryStore;
use crate::store::{Keep, Store, StoreError};

/// Where a store is. Checked as far as that is possible without asking it.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// In this process.
    Memory,
}

/// Why there is no store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenError {
    /// The URL is none of a store, or of one that this build has not.
    Url(String),
    /// The store does not answer, or not as one.
    Unavailable(StoreError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(text) => f.write_str(text),
            Self::Unavailable(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}

impl FromStr for Location {
    type Err = OpenError;

    fn from_str(text: &str) -> Result<Self, OpenError> {
        let url = Url::parse(text).map_err(|error| OpenError::Url(format!("not a URL: {error}")))?;
        match url.scheme() {
            "memory" => Ok(Self::Memory),
            _ => Err(OpenError::Url(
                "a store is memory:, redis://…, postgres://… or dynamodb://TABLE".to_owned(),
            )),
        }
    }
}

/// Opens the store at `location`. What it keeps is marked as `owner`'s, a name of this process that no other process has.
pub async fn open(location: &Location, owner: Arc<str>, keep: Keep) -> Result<Arc<dyn Store>, OpenError> {
    match location {
        Location::Memory => Ok(Arc::new(MemoryStore::new(owner, keep))),
    }
}
