//! Opens the store at a URL.

use std::str::FromStr;
use std::sync::Arc;

use url::Url;

use crate::memory::MemoryStore;
use crate::open::{Location, OpenError};
use crate::store::{Retention, Store};

impl FromStr for Location {
    type Err = OpenError;

    fn from_str(text: &str) -> Result<Self, OpenError> {
        if let Some(path) = text.strip_prefix("file:") {
            return file(path).map_err(OpenError::Url);
        }
        let url = Url::parse(text).map_err(|error| OpenError::Url(format!("not a URL: {error}")))?;
        let location = match url.scheme() {
            "memory" => Ok(Self::Memory),
            "redis" | "rediss" | "valkey" | "valkeys" => redis(url),
            "postgres" | "postgresql" => postgres(url),
            "dynamodb" => dynamodb(&url),
            _ => Err("a store is memory:, file:PATH, redis://…, postgres://… or dynamodb://TABLE".to_owned()),
        };
        location.map_err(OpenError::Url)
    }
}

#[cfg(not(all(feature = "file", feature = "redis", feature = "postgres", feature = "dynamodb")))]
fn missing(name: &str) -> String {
    format!("this build has no {name}: compile with the feature `{name}`")
}

#[cfg(feature = "file")]
fn file(path: &str) -> Result<Location, String> {
    crate::file::path(path).map(Location::File)
}

#[cfg(not(feature = "file"))]
fn file(_: &str) -> Result<Location, String> {
    Err(missing("file"))
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

/// Opens the store at `location`. Its claims are marked with `owner`, a unique name of this process.
///
/// Returns when the store has answered: after one connection and a few round trips, usually some milliseconds, or with
/// [`OpenError::Unavailable`] after a few seconds. An open store reconnects by itself when necessary.
pub async fn open(
    location: &Location,
    owner: Arc<str>,
    keep: Retention,
) -> Result<Arc<dyn Store>, OpenError> {
    match location {
        Location::Memory => Ok(Arc::new(MemoryStore::new(owner, keep))),
        // Its claims are marked as its creator has chosen.
        Location::Own(own) => match own.store().ping().await {
            Ok(()) => Ok(Arc::clone(own.store())),
            Err(error) => Err(OpenError::Unavailable(error)),
        },
        #[cfg(feature = "file")]
        Location::File(path) => Ok(Arc::new(crate::file::FileStore::open(path, owner, keep).await?)),
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
        #[cfg(not(all(feature = "file", feature = "redis", feature = "postgres", feature = "dynamodb")))]
        other => Err(OpenError::Url(format!("this build has no store for {other}"))),
    }
}

/// Checks that the store at `location` answers, without changing it: unlike [`open`], it creates no tables.
pub async fn reach(location: &Location) -> Result<(), OpenError> {
    #[cfg(feature = "postgres")]
    if let Location::Postgres(server) = location {
        return crate::postgres::PostgresStore::reach(server.expose()).await;
    }
    #[cfg(feature = "file")]
    if let Location::File(path) = location {
        return crate::file::FileStore::reach(path).await;
    }
    // The owner's name marks claims, and this makes no claims.
    open(location, Arc::from("drumline"), Retention::default()).await.map(drop)
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
