//! One request to the payment provider.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use drumline::core::CancelReason;
use drumline::{Context, Failure};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use tokio::time::{sleep, timeout};

use super::answer::{AMBIGUOUS, Answer, Receipt, retry_after, verdict};
use super::payload::Charge;
use crate::settings::{BillingSettings, SecretUri, Token};

/// How long the TCP connection may take. A connection that is not there has charged nobody, which is worth knowing apart.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Of an answer's body this much is read. Providers' answers have a few KiB.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How long an idle connection is kept: less than the minute after which common servers close theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(45);

/// How much longer an answer is waited for once the run is to stop: most answers come within it, and a known one is
/// better than a second request. A handler that goes on is dropped a second after it was told.
const LAST_WAIT: Duration = Duration::from_millis(700);

const IDEMPOTENCY_KEY: &str = "idempotency-key";

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The payment provider. Nothing is connected to before the first charge.
pub(super) struct Provider {
    url: SecretUri,
    token: Option<Token>,
    timeout: Duration,
    client: OnceLock<HttpClient>,
}

impl Provider {
    /// `None` where no provider is set.
    pub(super) fn new(settings: &BillingSettings) -> Option<Self> {
        Some(Self {
            url: settings.url.clone()?,
            token: settings.token.clone(),
            timeout: settings.timeout,
            client: OnceLock::new(),
        })
    }

    /// Sends the charge, and waits for what becomes of it.
    ///
    /// From the moment the request is sent nobody but the provider knows whether the customer was charged. Whatever
    /// goes wrong from there on is tried again under the same key, for which the provider charges once.
    pub(super) async fn charge(&self, ctx: &Context, charge: &Charge) -> Result<Receipt, Failure> {
        let request = self.request(charge)?;
        let exchange = timeout(self.timeout, self.exchange(request));
        tokio::select! {
            // An answer that is there counts, cancelled or not.
            biased;
            answered = exchange => verdict(&answered.map_err(|_| self.late())??),
            reason = nearly_dropped(ctx) => {
                Err(Failure::retry(format_args!("stopped before the provider answered ({reason:?}); {AMBIGUOUS}")))
            }
        }
    }

    fn request(&self, charge: &Charge) -> Result<Request<Full<Bytes>>, Failure> {
        let body = Full::new(Bytes::from(serde_json::to_vec(charge)?));
        let mut request = Request::post(self.url.expose().clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("drumline/", env!("CARGO_PKG_VERSION")))
            .header(IDEMPOTENCY_KEY, charge.key())
            .body(body)?;
        if let Some(token) = &self.token {
            let value: HeaderValue = token.header();
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let response = self.client()?.request(request).await.map_err(|error| self.unanswered(error))?;
        let (head, body) = response.into_parts();
        let body = match Limited::new(body, MAX_ANSWER_BYTES).collect().await {
            Ok(body) => Ok(self.shown(&String::from_utf8_lossy(&body.to_bytes()))),
            Err(error) => Err(format!("the answer's body could not be read: {error}")),
        };
        let retry_after = retry_after(&head.headers, SystemTime::now());
        Ok(Answer { status: head.status, retry_after, body })
    }

    fn late(&self) -> Failure {
        let limit = self.timeout;
        Failure::retry(format_args!("the provider did not answer within {limit:?}; {AMBIGUOUS}"))
    }

    fn unanswered(&self, error: Error) -> Failure {
        let provider = self.url.expose().authority().map_or("the provider", |authority| authority.as_str());
        let before = error.is_connect();
        // As a failure it has its causes in its words.
        let error = Failure::from(error);
        if before {
            Failure::retry(format_args!("{provider}: {error}"))
        } else {
            Failure::retry(format_args!("{provider}: {error}; {AMBIGUOUS}"))
        }
    }

    /// Some providers repeat a key that they do not know.
    fn shown(&self, text: &str) -> String {
        self.token.as_ref().map_or_else(|| text.to_owned(), |token| token.hide_in(text))
    }

    fn client(&self) -> Result<&HttpClient, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = connect()?;
        Ok(self.client.get_or_init(|| client))
    }
}

fn connect() -> Result<HttpClient, Failure> {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(ring::default_provider())
        .map_err(|error| Failure::retry(format_args!("no root certificates: {error}")))?
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
