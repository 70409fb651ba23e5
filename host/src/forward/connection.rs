//! Connections to the application, and the checks that use them.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::HttpClient;
use crate::target::Check;

/// How long connecting may take: the application is on this machine, or near.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an idle connection is kept: less than the minute after which common servers close theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(45);

/// Most causes of an error that are looked at: longer chains are circles.
const MAX_CAUSES: usize = 32;

pub(super) fn client() -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEEP_ALIVE)
        .build(connector)
}

/// Ways to ask if the application is there.
#[derive(Clone)]
pub(super) struct Checks {
    client: HttpClient,
    target: Url,
}

impl Checks {
    pub(super) fn new(client: HttpClient, target: Url) -> Self {
        Self { client, target }
    }

    /// Opens a connection, and closes it.
    pub(super) async fn connects(&self) -> Result<(), String> {
        let host = self.target.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = self.target.port_or_known_default().unwrap_or(80);
        match timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port))).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error_text(&error)),
            Err(_) => Err(format!("no connection within {CONNECT_TIMEOUT:?}")),
        }
    }

    /// The check by a connection.
    pub(super) fn connection(&self) -> Check {
        let checks = self.clone();
        Arc::new(move || {
            let checks = checks.clone();
            Box::pin(async move { checks.connects().await })
        })
    }

    /// The check by a `GET` of this path: 2xx is healthy.
    pub(super) fn path(&self, path: &str) -> Check {
        let (client, mut target) = (self.client.clone(), self.target.clone());
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        target.set_path(path);
        target.set_query(query);
        Arc::new(move || {
            let (client, target) = (client.clone(), target.to_string());
            Box::pin(async move {
                let request =
                    Request::builder().method(Method::GET).uri(target).body(Full::<Bytes>::default());
                let request = request.map_err(|error| error.to_string())?;
                let status = client.request(request).await.map_err(|error| error_text(&error))?.status();
                if status.is_success() { Ok(()) } else { Err(format!("its health check answers {status}")) }
            })
        })
    }
}

/// The innermost cause of a failed request: `connection refused (111)`.
pub(super) fn error_text(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    for _ in 0..MAX_CAUSES {
        if let Some(io) = innermost.downcast_ref::<io::Error>() {
            if let Some(errno) = io.raw_os_error() {
                let text = io.to_string().replace(&format!(" (os error {errno})"), "");
                return format!("{} ({errno})", text.to_lowercase());
            }
            // An `io::Error` leaves out the error that it wraps, and names only the causes of that.
            if let Some(inner) = io.get_ref() {
                innermost = inner;
                continue;
            }
        }
        match innermost.source() {
            Some(cause) => innermost = cause,
            None => break,
        }
    }
    innermost.to_string()
}
