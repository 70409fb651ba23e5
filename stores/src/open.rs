//! The place of a store, and the reason why it cannot be opened.

use std::fmt;
use std::path::PathBuf;

use crate::own::OwnStore;
use crate::secret_url::SecretUrl;
use crate::store::StoreError;

/// Where a store is. Checked as far as that is possible without asking it.
///
/// It is shown without user, password, and all that follows a `?`, where PostgreSQL takes them too.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// `memory:`, in this process.
    Memory,
    /// `file:PATH`, on this machine.
    File(PathBuf),
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
    /// A store that the program gives in code.
    Own(OwnStore),
}

impl Location {
    /// Returns true if what the store keeps outlives the process, so that other processes may find it there.
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
                // Such as can be read again.
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

/// Why there is no store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL is none of a store, or of one that this build has not.
    Url(String),
    /// The store does not answer, or not as one.
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
    /// The error of the store's client: the text is that of the [`StoreError`] already.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Url(_) => None,
            Self::Unavailable(error) => error.source(),
        }
    }
}
