//! HTTP requests of jobs.

mod answer;
#[cfg(test)]
mod test_server;

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use drumline::core::CancelReason;
use drumline::{Context, Failure};
use http::Request;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use tokio::time::{sleep, timeout};

pub(crate) use self::answer::Answer;
#[cfg(test)]
pub(crate) use self::test_server::{Act, TestServer};

/// The value of the header `user-agent`.
pub(crate) const USER_AGENT: &str = concat!("drumline/", env!("CARGO_PKG_VERSION"));

/// The time limit for the TCP connection. Without a connection nothing was sent, which is useful to know.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest number of bytes that are read from a response body. Responses have a few KiB.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The time for which an idle connection is kept: less than the minute after which common servers close it.
const KEEP_ALIVE: Duration = Duration::from_secs(45);

/// The time for which a response is still awaited after the run was asked to stop: most responses arrive within it, and a known
/// response is better than a second request. A handler is dropped a second after its run is cancelled.
const LAST_WAIT: Duration = Duration::from_millis(700);

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client that connects on first use, and follows no redirects.
#[derive(Default)]
pub(crate) struct Web {
    client: OnceLock<HttpClient>,
}

/// The reason why there is no response.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    pub(crate) reason: String,
    /// True if the request may have arrived.
    pub(crate) was_sent: bool,
}

impl Web {
    /// Sends a request and reads its response within `limit`, and not much longer than the run may last.
    pub(crate) async fn send(
        &self,
        ctx: &Context,
        request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<Answer, NoAnswer> {
        let exchange = timeout(limit, self.exchange(request));
        tokio::select! {
            // An available response counts, even after a cancellation.
            biased;
            answered = exchange => answered.unwrap_or_else(|_| Err(sent(format!("no answer within {limit:?}")))),
            reason = nearly_dropped(ctx) => Err(sent(format!("stopped before the answer came ({reason:?})"))),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
        let server = request.uri().authority().map_or_else(String::new, ToString::to_string);
        let client = self.client().map_err(|reason| NoAnswer { reason, was_sent: false })?;
        let response = client.request(request).await.map_err(|error| {
            let was_sent = !error.is_connect();
            // A failure's text includes its causes.
            NoAnswer { reason: format!("{server}: {}", Failure::from(error)), was_sent }
        })?;
        let (head, body) = response.into_parts();
        let body = match Limited::new(body, MAX_ANSWER_BYTES).collect().await {
            Ok(body) => Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned()),
            Err(error) => Err(format!("the answer's body could not be read: {error}")),
        };
        Ok(Answer::new(head.status, &head.headers, SystemTime::now(), body))
    }

    fn client(&self) -> Result<&HttpClient, String> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = connect()?;
        Ok(self.client.get_or_init(|| client))
    }
}

fn sent(reason: String) -> NoAnswer {
    NoAnswer { reason, was_sent: true }
}

fn connect() -> Result<HttpClient, String> {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(ring::default_provider())
        .map_err(|error| format!("no root certificates: {error}"))?
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEEP_ALIVE)
        .build(connector))
}

async fn nearly_dropped(ctx: &Context) -> CancelReason {
    let reason = ctx.cancelled().await;
    sleep(LAST_WAIT).await;
    reason
}
