//! The reasons for which a consumer does not start.

use std::net::SocketAddr;

use drumline_runtime::SqsError;
use drumline_store::OpenError;

/// The reason for which a consumer did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings do not go together with what SQS says of a queue, or say too little.
    #[error("{0}")]
    Settings(String),
    /// A queue cannot be used.
    #[error("the queue {queue} cannot be used: {error}")]
    Queue {
        /// Its name.
        queue: String,
        /// Why.
        error: SqsError,
    },
    /// Permanent failures go to a DLQ that cannot be used.
    #[error("the DLQ of the queue {queue} cannot be used: {error}")]
    DeadLetterQueue {
        /// The queue's name.
        queue: String,
        /// Why.
        error: SqsError,
    },
    /// The store of claims and histories cannot be used.
    #[error("the store of DRUMLINE_STORE_URL cannot be used: {0}")]
    Store(OpenError),
    /// The address of the HTTP endpoint cannot be listened on.
    #[error(
        "cannot serve /livez, /readyz and /metrics on {addr}: {error}; set DRUMLINE_HTTP_ADDR to another address, or to off"
    )]
    Http {
        /// The address.
        addr: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
}

impl StartError {
    /// Returns true if a setting or the program must be corrected, and false if a service is unavailable.
    pub fn is_wrong_setting(&self) -> bool {
        match self {
            Self::Settings(_) => true,
            Self::Store(error) => error.is_wrong_setting(),
            Self::Queue { .. } | Self::DeadLetterQueue { .. } | Self::Http { .. } => false,
        }
    }
}
