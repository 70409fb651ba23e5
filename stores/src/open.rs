//! From a URL to a store.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use url::Url;

use crate::memory::MemoryStore;
use crate::secret_url::SecretUrl;
use crate::store::{Keep, Store, StoreError};

/// Where a store is. Checked as far as that is possible without asking it.
///
/// It is shown without user, password, and all that follows a `?`, where PostgreSQL takes them too.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// `memory:`, in this process.
    Memory,
    /// `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE][?prefix=NAME]`, or `rediss://` with TLS; `valkey` for `redis`
    /// means the same.
    Redis(SecretUrl),
    /// `postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE[?pool=CONNECTIONS]`, and more after the `?` as `libpq` has it.
    Postgres(SecretUrl),
    /// `dynamodb://TABLE[?region=REGION]`.
    DynamoDb {
        /// The table's name.
        table: String,
        /// Its region, where that is not the process's own.
        region: Option<String>,
    },
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Redis(server) | Self::Postgres(server) => server.fmt(f),
            Self::DynamoDb { table, region: None } => write!(f, "dynamodb://{table}"),
            Self::DynamoDb { table, region: Some(region) } => write!(f, "dynamodb://{table}?region={region}"),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
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
        let location = match url.scheme() {
            "memory" => Ok(Self::Memory),
            "redis" | "rediss" | "valkey" | "valkeys" => redis(url),
            "postgres" | "postgresql" => postgres(url),
            "dynamodb" => dynamodb(&url),
            _ => Err("a store is memory:, redis://…, postgres://… or dynamodb://TABLE".to_owned()),
        };
        location.map_err(OpenError::Url)
    }
}

#[cfg(not(all(feature = "redis", feature = "postgres", feature = "dynamodb")))]
fn missing(name: &str) -> String {
    format!("this build has no {name}: compile with the feature `{name}`")
}

#[cfg(feature = "redis")]
fn redis(url: Url) -> Result<Location, String> {
    crate::redis::check(&url)?;
    Ok(Location::Redis(url.into()))
}

#[cfg(not(feature = "redis"))]
fn redis(_: Url) -> Result<Location, String> {
    Err(missing("redis"))
}

#[cfg(feature = "postgres")]
fn postgres(url: Url) -> Result<Location, String> {
    crate::postgres::check(&url)?;
    Ok(Location::Postgres(url.into()))
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: Url) -> Result<Location, String> {
    Err(missing("postgres"))
}

#[cfg(feature = "dynamodb")]
fn dynamodb(url: &Url) -> Result<Location, String> {
    crate::dynamodb::location(url)
}

#[cfg(not(feature = "dynamodb"))]
fn dynamodb(_: &Url) -> Result<Location, String> {
    Err(missing("dynamodb"))
}

/// Opens the store at `location`. What it keeps is marked as `owner`'s, a name of this process that no other process has.
///
/// It asks the store whether it answers, and returns when it has: after one connection and a few round trips, usually
/// some milliseconds, or with [`OpenError::Unavailable`] after a few seconds. A store that is opened connects by itself
/// again whenever it has to.
pub async fn open(location: &Location, owner: Arc<str>, keep: Keep) -> Result<Arc<dyn Store>, OpenError> {
    match location {
        Location::Memory => Ok(Arc::new(MemoryStore::new(owner, keep))),
        #[cfg(feature = "redis")]
        Location::Redis(server) => {
            Ok(Arc::new(crate::redis::RedisStore::connect(server.expose(), owner, keep).await?))
        }
        #[cfg(feature = "postgres")]
        Location::Postgres(server) => {
            Ok(Arc::new(crate::postgres::PostgresStore::connect(server.expose(), owner, keep).await?))
        }
        #[cfg(feature = "dynamodb")]
        Location::DynamoDb { table, region } => {
            let region = region.clone();
            Ok(Arc::new(crate::dynamodb::DynamoStore::connect(table, region, owner, keep).await?))
        }
        #[cfg(not(all(feature = "redis", feature = "postgres", feature = "dynamodb")))]
        other => Err(OpenError::Url(format!("this build has no store for {other}"))),
    }
}

/// Asks the store at `location` whether it answers, and changes nothing in it: unlike [`open`], it makes no tables.
pub async fn reach(location: &Location) -> Result<(), OpenError> {
    #[cfg(feature = "postgres")]
    if let Location::Postgres(server) = location {
        return crate::postgres::PostgresStore::reach(server.expose()).await;
    }
    // The owner's name marks claims, and this claims nothing.
    open(location, Arc::from("drumline"), Keep::default()).await.map(drop)
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
