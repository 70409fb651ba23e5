//! Connections to one endpoint, kept open between requests.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use drumline_aws::Environment;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Body as _;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{Instant, timeout};
use tower_service::Service as _;

type BoxError = Box<dyn Error + Send + Sync>;

/// The age after which a connection takes no further request, because the hosts behind SQS's name change.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// The time for which an unused connection is kept. SQS closes connections at about that time.
const MAX_IDLE: Duration = Duration::from_secs(55);

/// The time limit of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum size of an answer: ten messages of 1 MiB, each byte of which takes six bytes in JSON.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// The reason why a request has no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The request was not written to any connection.
    Unwritten(BoxError),
    /// The connection ended before any answer, mostly because SQS was already closing it.
    Closed(BoxError),
    /// The connection or the answer ended in the middle.
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
    /// Makes a pool for the host of `uri`, with the trust settings of the environment.
    ///
    /// # Errors
    /// If there are no root certificates for TLS.
    pub(crate) fn new(uri: Uri, environment: &Environment) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnector::from((tcp, tls(&uri, environment)?));
        Ok(Self { uri, connector, idle: Mutex::default() })
    }

    /// Sends a request and returns its answer with the whole body. `was_written` becomes true before the first byte is written.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        was_written: &AtomicBool,
    ) -> Result<Response<Bytes>, NoAnswer> {
        loop {
            let mut connection = match self.idle() {
                Some(connection) => connection,
                // In a box, which few requests allocate, so that their futures stay small.
                None => Box::pin(self.connect()).await.map_err(NoAnswer::Unwritten)?,
            };
            was_written.store(true, Ordering::Relaxed);
            match connection.sender.try_send_request(request).await {
                Ok(response) => return self.read(response, connection).await,
                Err(mut error) => match error.take_message() {
                    // The connection has ended since its last use; no part of the request was written.
                    Some(unwritten) if connection.has_served => {
                        was_written.store(false, Ordering::Relaxed);
                        request = unwritten;
                    }
                    Some(_) => return Err(NoAnswer::Unwritten(error.into_error().into())),
                    None => {
                        let error = error.into_error();
                        let is_closed = is_closed(&error);
                        let error = Box::from(error);
                        return Err(if is_closed {
                            NoAnswer::Closed(error)
                        } else {
                            NoAnswer::Broken(error)
                        });
                    }
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
        let too_long = || format!("the answer has more than {MAX_ANSWER_BYTES} bytes").into();
        if body.size_hint().lower() > MAX_ANSWER_BYTES as u64 {
            return Err(NoAnswer::Broken(too_long()));
        }
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|error| {
            NoAnswer::Broken(if error.is::<LengthLimitError>() { too_long() } else { error })
        })?;
        let now = Instant::now();
        // The whole answer is read, so the connection is ready at once unless it ends.
        (connection.used_at, connection.has_served) = (now, true);
        if !connection.is_over(now) {
            self.lock().push(connection);
        }
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    /// Takes the connection that was used last, so that others can expire.
    fn idle(&self) -> Option<Connection> {
        let now = Instant::now();
        let mut idle = self.lock();
        idle.retain(|connection| !connection.is_over(now));
        let position = idle.iter().rposition(|connection| connection.sender.is_ready())?;
        Some(idle.remove(position))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
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
        // Twice the time of a TCP connection, because TLS has its own round trips.
        let sender =
            timeout(2 * CONNECT_TIMEOUT, connecting).await.map_err(|_| "connecting took too long")??;
        let now = Instant::now();
        Ok(Connection { sender, opened_at: now, used_at: now, has_served: false })
    }
}

impl Connection {
    /// Returns true if the connection takes no further request.
    fn is_over(&self, now: Instant) -> bool {
        self.sender.is_closed() || now >= self.opened_at + MAX_AGE || now >= self.used_at + MAX_IDLE
    }
}

/// Returns true if the other end closed the connection before an answer.
fn is_closed(error: &hyper::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    let is_of_closed = |error: &io::Error| {
        matches!(
            error.kind(),
            BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
        )
    };
    let by_io = || error.source().and_then(|source| source.downcast_ref()).is_some_and(is_of_closed);
    error.is_incomplete_message() || error.is_closed() || error.is_canceled() || by_io()
}

/// Returns the TLS settings for an endpoint, with the trust settings of the environment.
fn tls(endpoint: &Uri, environment: &Environment) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let builder = match (endpoint.scheme_str(), drumline_aws::root_certificates(environment)?) {
        (Some("https"), None) => builder.with_native_roots().map_err(|error| error.to_string())?,
        // Without TLS no certificate is needed, and none is read.
        (_, certificates) => {
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
#[path = "pool_tests.rs"]
mod tests;
