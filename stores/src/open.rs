//! The location of a store, and the reason why it cannot be opened.

use std::fmt;
use std::path::PathBuf;

use crate::own::OwnStore;
use crate::secret_url::SecretUrl;
use crate::store::StoreError;

/// The location of a store, validated as far as possible without connecting.
///
/// Its text hides the user, the password, and everything after a `?`, where PostgreSQL accepts them, too.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// `memory:`, in this process.
    Memory,
    /// `file:PATH`, on this machine.
    File(PathBuf),
    /// `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE][?prefix=NAME]`, or `rediss://` with TLS; `valkey` instead of `redis`
    /// has the same meaning.
    Redis(SecretUrl),
    /// `postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE[?pool=CONNECTIONS]`, with `libpq`'s further parameters after the `?`.
    Postgres(SecretUrl),
    /// `dynamodb://TABLE[?region=REGION]`.
    DynamoDb {
        /// The table's name.
        table: String,
        /// Its region, if it differs from the process's region.
        region: Option<String>,
    },
    /// A store that the program provides in code.
    Own(OwnStore),
}

impl Location {
    /// Returns true if the store's data outlives the process, so that other processes can find it there.
    pub fn outlives_its_process(&self) -> bool {
        match self {
            Self::Memory => false,
            Self::Own(own) => own.store().outlives_its_process(),
            _ => true,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::File(path) => {
                // Encoded, so that it can be parsed again.
                let encoded = path.display().to_string().replace('%', "%25");
                write!(f, "file:{}", encoded.replace('?', "%3F").replace('#', "%23"))
            }
            Self::Redis(server) | Self::Postgres(server) => server.fmt(f),
            Self::Own(own) => own.fmt(f),
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

/// The reason why there is no store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL is not the URL of a store, or this build lacks the store.
    Url(String),
    /// The store does not answer, or answers wrongly.
    Unavailable(StoreError),
}

impl OpenError {
    /// Returns true if a setting must be corrected, and false if the store may answer later.
    pub fn is_wrong_setting(&self) -> bool {
        match self {
            Self::Url(_) => true,
            Self::Unavailable(_) => false,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(text) => f.write_str(text),
            Self::Unavailable(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {
    /// Returns the error of the store's client: the text is already that of the [`StoreError`].
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Url(_) => None,
            Self::Unavailable(error) => error.source(),
        }
    }
}
