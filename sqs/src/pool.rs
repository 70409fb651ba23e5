//! Connections to one endpoint, kept open between requests.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use drumline_aws::Environment;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{Instant, timeout};
use tower_service::Service as _;

type BoxError = Box<dyn Error + Send + Sync>;

/// The age beyond which a connection takes no further request: the hosts behind SQS's name change.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// The time for which a connection is kept without a request. SQS closes them about then.
const MAX_IDLE: Duration = Duration::from_secs(55);

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The most bytes of an answer: ten messages of 1 MiB, each byte of which is six in JSON.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The reason for which a request has no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// It was not written to any connection.
    Unwritten(BoxError),
    /// The connection ended before any answer. Some of the request, or all of it, may have been read.
    Closed(BoxError),
    /// The answer ended in the middle, or is too long.
    Broken(BoxError),
}

/// Connections to one endpoint.
pub(crate) struct Pool {
    uri: Uri,
    connector: HttpsConnector<HttpConnector>,
    idle: Mutex<Vec<Connection>>,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    opened_at: Instant,
    used_at: Instant,
    has_served: bool,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl Pool {
    /// Connections to the host of `uri`, with the trust that the environment asks for.
    ///
    /// # Errors
    /// If there are no root certificates for TLS.
    pub(crate) fn new(uri: Uri, environment: &Environment) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let tls = tls_config(uri.scheme_str() == Some("https"), environment)?;
        let connector = HttpsConnector::from((tcp, tls));
        Ok(Self { uri, connector, idle: Mutex::default() })
    }

    /// Sends a request, and returns its answer with the whole body.
    pub(crate) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Bytes>, NoAnswer> {
        loop {
            let mut connection = match self.idle() {
                Some(connection) => connection,
                None => self.connect().await.map_err(NoAnswer::Unwritten)?,
            };
            let has_served = connection.has_served;
            match connection.sender.try_send_request(request).await {
                Ok(response) => return self.read(response, connection).await,
                Err(mut error) => match error.take_message() {
                    // The connection has ended since it was used last; nothing of the request was written.
                    Some(unwritten) if has_served => request = unwritten,
                    Some(_) => return Err(NoAnswer::Unwritten(error.into_error().into())),
                    None => return Err(NoAnswer::Closed(error.into_error().into())),
                },
            }
        }
    }

    async fn read(
        &self,
        response: Response<hyper::body::Incoming>,
        mut connection: Connection,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| {
            NoAnswer::Broken(if error.is::<LengthLimitError>() {
                format!("the answer has more than {MAX_ANSWER_BYTES} bytes").into()
            } else {
                error
            })
        })?;
        let now = Instant::now();
        // The whole answer is read, so it is ready at once unless it ends.
        if !connection.sender.is_closed() && now < connection.opened_at + MAX_AGE {
            (connection.used_at, connection.has_served) = (now, true);
            self.keep(connection);
        }
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    /// Takes the connection that was used last: others may be let go.
    fn idle(&self) -> Option<Connection> {
        let now = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| {
            !connection.sender.is_closed()
                && now < connection.opened_at + MAX_AGE
                && now < connection.used_at + MAX_IDLE
        });
        let position = idle.iter().rposition(|connection| connection.sender.is_ready())?;
        Some(idle.remove(position))
    }

    fn keep(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    /// Returns true if a connection waits for a request.
    #[cfg(test)]
    pub(crate) fn has_idle(&self) -> bool {
        self.idle().map(|connection| self.keep(connection)).is_some()
    }

    /// Has all connections be older by so much, and their last request by so much longer ago.
    #[cfg(test)]
    pub(crate) fn age_by(&self, age: Duration, idle: Duration) {
        for connection in &mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner) {
            connection.opened_at -= age;
            connection.used_at -= idle;
        }
    }

    async fn connect(&self) -> Result<Connection, BoxError> {
        let connecting = async {
            let stream = self.connector.clone().call(self.uri.clone()).await?;
            let (sender, connection) = Builder::new().handshake(stream).await?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection to SQS has ended");
                }
            });
            Ok::<_, BoxError>(sender)
        };
        // Twice the time of TCP's: TLS has its own turns.
        let sender =
            timeout(2 * CONNECT_TIMEOUT, connecting).await.map_err(|_| "connecting took too long")??;
        let now = Instant::now();
        Ok(Connection { sender, opened_at: now, used_at: now, has_served: false })
    }
}

/// Returns the TLS settings: ring, the system's root certificates or those of `AWS_CA_BUNDLE`, and HTTP/1.1. Where no connection is to be
/// encrypted, no certificate is read.
fn tls_config(encrypted: bool, environment: &Environment) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let builder = match drumline_aws::root_certificates(environment)? {
        None if encrypted => builder.with_native_roots().map_err(|error| error.to_string())?,
        certificates => {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(certificates.unwrap_or_default());
            builder.with_root_certificates(store)
        }
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn connections_are_http_1_1_and_trust_what_the_environment_names() {
        let config = tls_config(false, &Environment::from([("", ""); 0])).unwrap();
        assert_eq!(config.alpn_protocols, [b"http/1.1"]);
        let problem = tls_config(true, &Environment::from([("AWS_CA_BUNDLE", "/nowhere/bundle.pem")]));
        assert!(problem.unwrap_err().contains("AWS_CA_BUNDLE"));
    }
}
