//! The client: each request signed, sent, repeated if that cannot do it twice, and decoded.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use drumline_aws::{Environment, with_causes};
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::Full;
use tokio::time::timeout;

use crate::credentials::CredentialsCache;
use crate::decode::{self, BatchAnswer, ErrorBody, Received};
use crate::error::{ErrorKind, RequestError};
use crate::pool::{NoAnswer, Pool};
use crate::sign::{self, Signable, Signer};
use crate::write::{self, DeleteEntry, ReceiveRequest, SendEntry, VisibilityEntry};

const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const QUERY_MODE: HeaderName = HeaderName::from_static("x-amzn-query-mode");

/// The codes by which SQS refuses credentials that may have been replaced meanwhile.
const EXPIRED: [&str; 5] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "TokenRefreshRequired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
];

/// The codes by which SQS refuses a signature for its date.
const SKEWED: [&str; 4] =
    ["RequestTimeTooSkewed", "RequestExpired", "SignatureDoesNotMatch", "InvalidSignatureException"];

/// A difference of clocks that SQS allows.
const ALLOWED_SKEW: Duration = Duration::from_secs(4 * 60);

/// What a client needs.
#[derive(Debug)]
pub struct ClientConfig {
    /// The URL of the endpoint, such as `https://sqs.eu-west-1.amazonaws.com`.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// Where credentials come from.
    pub credentials: SharedCredentialsProvider,
    /// The `User-Agent` of requests.
    pub user_agent: &'static str,
}

/// A client of one endpoint and region, for the requests of a busy worker.
#[derive(Debug)]
pub struct SqsClient {
    pool: Pool,
    path: String,
    host: String,
    signer: Signer,
    credentials: CredentialsCache,
    user_agent: &'static str,
    /// By how much SQS's clock is ahead of this machine's, in seconds; 0 unless SQS has refused a signature for its date.
    skew_secs: AtomicI64,
}

/// What may be done if the connection ends before any answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unanswered {
    /// The request does the same if it is carried out twice.
    Repeat,
    /// It does not.
    Report,
}

impl SqsClient {
    /// Makes a client. Opens no connection.
    ///
    /// # Errors
    /// If the endpoint or the trust that the environment asks for cannot be used, in words for the user.
    pub fn new(config: ClientConfig, environment: &Environment) -> Result<Self, String> {
        let ClientConfig { endpoint, region, credentials, user_agent } = config;
        let uri: Uri = endpoint.parse().map_err(|error| format!("{endpoint:?}: {error}"))?;
        let authority = uri.authority().ok_or_else(|| format!("{endpoint:?} names no host"))?;
        // The port of a signature is the one of the header, which leaves out the usual one.
        let is_usual = matches!(
            (uri.scheme_str(), uri.port_u16()),
            (Some("https"), Some(443)) | (Some("http"), Some(80))
        );
        let host = if is_usual { authority.host().to_owned() } else { authority.to_string() };
        let path = match uri.path().trim_end_matches('/') {
            "" => "/".to_owned(),
            path => path.to_owned(),
        };
        Ok(Self {
            pool: Pool::new(uri, environment)?,
            path,
            host,
            signer: Signer::new(region),
            credentials: CredentialsCache::new(credentials),
            user_agent,
            skew_secs: AtomicI64::new(0),
        })
    }

    /// Receives messages: one long poll, at most `limit` long.
    ///
    /// # Errors
    /// If there is no answer, or SQS answers with an error.
    pub async fn receive(
        &self,
        queue_url: &str,
        request: &ReceiveRequest<'_>,
        limit: Duration,
    ) -> Result<Received, RequestError> {
        let body = write::receive(queue_url, request);
        // What a receive without an answer has brought stays hidden for its visibility timeout: a repeat is for the caller to decide.
        let answer = self.call("ReceiveMessage", body, limit, Unanswered::Report).await?;
        decode::received(&answer).ok_or_else(undecodable)
    }

    /// Deletes messages, ten at most.
    ///
    /// # Errors
    /// If there is no answer, or SQS answers with an error about the whole batch.
    pub async fn delete(
        &self,
        queue_url: &str,
        entries: &[DeleteEntry<'_>],
        limit: Duration,
    ) -> Result<BatchAnswer, RequestError> {
        let body = write::delete(queue_url, entries);
        self.batch("DeleteMessageBatch", body, limit, Unanswered::Repeat).await
    }

    /// Changes the visibility of messages, ten at most.
    ///
    /// # Errors
    /// As those of [`delete`](Self::delete).
    pub async fn change_visibility(
        &self,
        queue_url: &str,
        entries: &[VisibilityEntry<'_>],
        limit: Duration,
    ) -> Result<BatchAnswer, RequestError> {
        let body = write::change_visibility(queue_url, entries);
        self.batch("ChangeMessageVisibilityBatch", body, limit, Unanswered::Repeat).await
    }

    /// Sends messages, ten at most. A request that may have reached SQS is not repeated.
    ///
    /// # Errors
    /// As those of [`delete`](Self::delete).
    pub async fn send(
        &self,
        queue_url: &str,
        entries: &[SendEntry<'_>],
        limit: Duration,
    ) -> Result<BatchAnswer, RequestError> {
        let body = write::send(queue_url, entries);
        self.batch("SendMessageBatch", body, limit, Unanswered::Report).await
    }

    async fn batch(
        &self,
        action: &'static str,
        body: Bytes,
        limit: Duration,
        unanswered: Unanswered,
    ) -> Result<BatchAnswer, RequestError> {
        let answer = self.call(action, body, limit, unanswered).await?;
        decode::batch(&answer).ok_or_else(undecodable)
    }

    /// Sends a request until it has an answer, within `limit`. It is repeated once for credentials that have ended, once for a clock that
    /// differs, and once for a connection that ended before an answer, if it may be.
    async fn call(
        &self,
        action: &'static str,
        body: Bytes,
        limit: Duration,
        unanswered: Unanswered,
    ) -> Result<Bytes, RequestError> {
        let (mut may_refresh, mut may_correct, mut may_repeat) =
            (true, true, unanswered == Unanswered::Repeat);
        let calling = async {
            loop {
                let credentials = self.credentials.get().await;
                let credentials = credentials.map_err(|error| {
                    let text = with_causes(&error);
                    RequestError::new(ErrorKind::Credentials(error), text)
                })?;
                let request = self.request(action, &body, &credentials);
                let answer = match self.pool.send(request).await {
                    Ok(answer) => answer,
                    Err(NoAnswer::Closed(_)) if std::mem::take(&mut may_repeat) => continue,
                    Err(error) => return Err(unanswered_error(error)),
                };
                if answer.status().is_success() {
                    return Ok(answer.into_body());
                }
                let error = service_error(&answer);
                let code = error.code().unwrap_or_default();
                if EXPIRED.contains(&code) && std::mem::take(&mut may_refresh) {
                    self.credentials.refused(&credentials);
                    continue;
                }
                if SKEWED.contains(&code)
                    && std::mem::take(&mut may_correct)
                    && self.correct_skew(answer.headers())
                {
                    continue;
                }
                return Err(error);
            }
        };
        timeout(limit, calling).await.unwrap_or_else(|_| {
            let text = format!("no answer within {} s", limit.as_secs_f64());
            Err(RequestError::new(ErrorKind::Unanswered(text.clone().into()), text))
        })
    }

    fn request(&self, action: &str, body: &Bytes, credentials: &Credentials) -> Request<Full<Bytes>> {
        let target = format!("AmazonSQS.{action}");
        let signable = Signable { host: &self.host, path: &self.path, target: &target, body };
        let signed = self.signer.sign(self.now(), credentials, &signable);
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.path.parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.reserve(8);
        let mut insert = |name: HeaderName, value: &str| {
            // Texts of the signature, and a token that SQS would refuse if it had other characters.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        insert(HOST, &self.host);
        insert(CONTENT_TYPE, sign::CONTENT_TYPE);
        insert(USER_AGENT, self.user_agent);
        insert(X_AMZ_TARGET, &target);
        insert(QUERY_MODE, "true");
        insert(X_AMZ_DATE, &signed.date);
        if let Some(token) = credentials.session_token() {
            insert(X_AMZ_SECURITY_TOKEN, token);
        }
        insert(AUTHORIZATION, &signed.authorization);
        request
    }

    /// The time by SQS's clock, as far as its difference matters.
    fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        let skew = self.skew_secs.load(Ordering::Relaxed);
        let by = Duration::from_secs(skew.unsigned_abs());
        let corrected = if skew < 0 { now.checked_sub(by) } else { now.checked_add(by) };
        corrected.unwrap_or(now)
    }

    /// Takes SQS's time from an answer that refuses a signature. Returns true if the clocks differ by too much.
    fn correct_skew(&self, headers: &HeaderMap) -> bool {
        let date = headers.get(DATE).and_then(|value| value.to_str().ok());
        let Some(theirs) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else { return false };
        let (ours, now) = (SystemTime::now(), self.now());
        let difference = |from: SystemTime| match theirs.duration_since(from) {
            Ok(ahead) => i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX),
            Err(behind) => -i64::try_from(behind.duration().as_secs()).unwrap_or(i64::MAX),
        };
        if difference(now).unsigned_abs() < ALLOWED_SKEW.as_secs() {
            return false;
        }
        self.skew_secs.store(difference(ours), Ordering::Relaxed);
        true
    }
}

fn undecodable() -> RequestError {
    RequestError::new(ErrorKind::Undecodable, "SQS's answer is none that this client can read")
}

fn unanswered_error(error: NoAnswer) -> RequestError {
    match error {
        NoAnswer::Unwritten(error) => {
            let text = with_causes(&*error);
            RequestError::new(ErrorKind::NoConnection(error), text)
        }
        NoAnswer::Closed(error) | NoAnswer::Broken(error) => {
            let text = with_causes(&*error);
            RequestError::new(ErrorKind::Unanswered(error), text)
        }
    }
}

/// The header by which an answer names the time until the next request, in milliseconds.
const RETRY_AFTER: &str = "x-amz-retry-after";

/// The header by which an answer names its error as the Query protocol had it, such as `AWS.SimpleQueueService.NonExistentQueue;Sender`.
const QUERY_ERROR: &str = "x-amzn-query-error";

fn service_error(answer: &Response<Bytes>) -> RequestError {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let ErrorBody { code, message } = serde_json::from_slice(answer.body()).unwrap_or_default();
    let by_query = header(QUERY_ERROR).and_then(|value| value.split(';').next()).map(str::to_owned);
    let by_body = code.map(|code| code.rsplit('#').next().unwrap_or_default().to_owned());
    let code = by_query.or(by_body).filter(|code| !code.is_empty()).unwrap_or_default();
    let status = answer.status().as_u16();
    let retry_after =
        header(RETRY_AFTER).and_then(|text| text.trim().parse().ok()).map(Duration::from_millis);
    let shown = if code.is_empty() { "an error without a code" } else { &code };
    let text = match &message {
        Some(message) => format!("{shown}: {message}"),
        None => format!("{shown} (HTTP status {status})"),
    };
    RequestError::new(ErrorKind::Service { code, message, status, retry_after }, text)
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
