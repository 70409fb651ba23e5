//! Connections to the application: plain, with TLS, or over a unix socket.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tower_service::Service;

use super::error_text::error_text;

/// The time limit of connecting: the application is on this machine, or near it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time for which an idle connection is kept: less than the minute after which common servers close theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(45);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(super) type HttpClient = Client<Connector, Full<Bytes>>;

pub(super) fn client(connector: Connector) -> HttpClient {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEEP_ALIVE)
        .build(connector)
}

/// Opens connections to the application.
#[derive(Clone)]
pub(super) enum Connector {
    Tcp(HttpConnector),
    Tls(HttpsConnector<HttpConnector>),
    Unix(Arc<Path>),
}

impl Connector {
    pub(super) fn tcp() -> Self {
        Self::Tcp(http_connector())
    }

    /// Makes a connector with TLS, which trusts the system's certificates, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    pub(super) fn tls() -> Result<Self, String> {
        let mut http = http_connector();
        http.enforce_http(false);
        let provider = rustls::crypto::ring::default_provider();
        let builder = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider);
        let builder = builder.map_err(|error| format!("no trusted certificates for https: {error}"))?;
        Ok(Self::Tls(builder.https_only().enable_http1().wrap_connector(http)))
    }

    /// Opens a connection, and closes it. The error is the reason in one line.
    pub(super) async fn check(&self, uri: &Uri) -> Result<(), String> {
        let connection = self.clone().call(uri.clone());
        match timeout(CONNECT_TIMEOUT, connection).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error_text(&*error)),
            Err(_) => Err(format!("no connection within {CONNECT_TIMEOUT:?}")),
        }
    }
}

fn http_connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_nodelay(true);
    connector
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // None of them limits its connections.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self {
            Self::Tcp(connector) => {
                let connecting = connector.call(uri);
                Box::pin(async move { Ok(Stream(Box::new(connecting.await?))) })
            }
            Self::Tls(connector) => {
                let connecting = connector.call(uri);
                Box::pin(async move { Ok(Stream(Box::new(connecting.await?))) })
            }
            Self::Unix(path) => {
                let path = Arc::clone(path);
                Box::pin(async move {
                    Ok(Stream(Box::new(Local(TokioIo::new(UnixStream::connect(path).await?)))))
                })
            }
        }
    }
}

/// A connection of any kind.
pub(super) struct Stream(Box<dyn Io>);

trait Io: Read + Write + Connection + Send + Unpin {}

impl<T: Read + Write + Connection + Send + Unpin> Io for T {}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.0.connected()
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, to)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}

/// A connection over a unix socket.
struct Local(TokioIo<UnixStream>);

impl Connection for Local {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Local {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, to)
    }
}

impl Write for Local {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
