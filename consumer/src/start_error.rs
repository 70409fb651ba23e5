//! The reasons why a consumer did not start.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;

use drumline_runtime::SqsError;
use drumline_store::OpenError;

/// The reason why a consumer did not start. Its text contains those of its causes.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is missing, or does not fit the handlers or the queue as SQS reports it.
    Settings(String),
    /// A queue cannot be used.
    Queue {
        /// Its name.
        queue: String,
        /// SQS's error.
        error: SqsError,
    },
    /// Permanent failures go to a DLQ that cannot be used.
    DeadLetterQueue {
        /// The queue's name.
        queue: String,
        /// SQS's error.
        error: SqsError,
    },
    /// The store of claims and histories cannot be used.
    Store(OpenError),
    /// The outbox that the consumer relays cannot be used.
    Outbox(OpenError),
    /// The HTTP endpoint cannot listen on its address.
    Http {
        /// The address.
        addr: SocketAddr,
        /// The error.
        error: std::io::Error,
    },
}

impl StartError {
    /// Returns true if a setting or the program must be corrected, and false if a service is unavailable.
    pub fn is_wrong_setting(&self) -> bool {
        match self {
            Self::Settings(_) => true,
            Self::Store(error) | Self::Outbox(error) => error.is_wrong_setting(),
            Self::Queue { .. } | Self::DeadLetterQueue { .. } | Self::Http { .. } => false,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(text) => f.write_str(text),
            Self::Queue { queue, error } => write!(f, "the queue {queue} cannot be used: {error}"),
            Self::DeadLetterQueue { queue, error } => {
                write!(f, "the DLQ of the queue {queue} cannot be used: {error}")
            }
            Self::Store(error) => write!(f, "the store of DRUMLINE_STORE_URL cannot be used: {error}"),
            Self::Outbox(error) => {
                write!(f, "the outbox in the store of DRUMLINE_STORE_URL cannot be used: {error}")
            }
            Self::Http { addr, error } => write!(
                f,
                "cannot serve /livez, /readyz and /metrics on {addr}: {error}; set DRUMLINE_HTTP_ADDR to another \
                 address, or to off"
            ),
        }
    }
}

impl Error for StartError {
    /// Omits the causes whose texts are part of this error's text, so that no text is shown twice.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Settings(_) => None,
            Self::Queue { error, .. } | Self::DeadLetterQueue { error, .. } => error.source(),
            Self::Store(error) | Self::Outbox(error) => error.source(),
            Self::Http { error, .. } => error.source(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;
    use crate::Consumer;
    use drumline::{Context, Job, Router};
    use drumline_runtime::Settings;
    use drumline_store::{StoreError, StoreErrorText};

    #[derive(serde::Deserialize)]
    struct Twice {}

    impl Job for Twice {
        const TYPE: &'static str = "twice";
    }

    #[tokio::test]
    async fn two_handlers_of_one_type_count_as_a_wrong_setting() {
        let handler = |_: Context, _: Twice| async { Ok(()) };
        let environment =
            |name: &str| (name == "DRUMLINE_QUEUE_URL").then(|| "http://localhost/1/jobs".to_owned());
        let settings = Settings::read(&BTreeMap::new(), environment, None).unwrap();
        let consumer = Consumer::new(settings, Router::new().handle(handler).handle(handler));
        let error = consumer.run(std::future::pending()).await.unwrap_err();
        assert!(error.is_wrong_setting());
        assert!(error.to_string().starts_with("job type twice: two handlers are registered"), "{error}");
    }

    #[test]
    fn the_error_of_the_stores_client_is_the_source() {
        let refused = || std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let text = StoreErrorText::about(refused(), format!("Redis: {}", refused()));
        let error = StartError::Store(OpenError::Unavailable(StoreError::Unanswered(text)));
        assert_eq!(
            error.to_string(),
            "the store of DRUMLINE_STORE_URL cannot be used: Redis: connection refused"
        );
        let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
        assert_eq!(source.map(std::io::Error::kind), Some(std::io::ErrorKind::ConnectionRefused));
    }
}
