//! The client signs each request, sends it, repeats it if that has no second effect, and decodes the answer.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
use bytes::Bytes;
use drumline_aws::{Environment, with_causes};
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::Full;
use tokio::time::timeout;

use crate::answer::{BatchAnswer, Received};
use crate::credentials::CredentialsCache;
use crate::decode;
use crate::error::{ErrorKind, RequestError};
use crate::identity::Identity;
use crate::pool::{NoAnswer, Pool};
use crate::sign::{self, Signer};
use crate::write::{self, DeleteEntry, ReceiveRequest, SendEntry, VisibilityEntry};

const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const QUERY_MODE: HeaderName = HeaderName::from_static("x-amzn-query-mode");

/// The codes with which SQS refuses credentials that may have been replaced meanwhile.
const EXPIRED: [&str; 5] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "TokenRefreshRequired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
];

/// The codes with which SQS refuses a signature for its date.
const SKEWED: [&str; 4] =
    ["RequestTimeTooSkewed", "RequestExpired", "SignatureDoesNotMatch", "InvalidSignatureException"];

/// The clock difference that SQS allows.
const ALLOWED_SKEW: Duration = Duration::from_secs(4 * 60);

/// The configuration of a client.
#[derive(Debug)]
pub struct ClientConfig {
    /// The URL of the endpoint, such as `https://sqs.eu-west-1.amazonaws.com`.
    pub endpoint: String,
    /// The region in the signature of requests.
    pub region: String,
    /// The source of credentials.
    pub credentials: SharedCredentialsProvider,
    /// The `User-Agent` of requests.
    pub user_agent: &'static str,
}

/// A client of one endpoint and region, for the requests of a busy worker.
#[derive(Debug)]
pub struct SqsClient {
    pool: Pool,
    uri: Uri,
    host: HeaderValue,
    user_agent: HeaderValue,
    signer: Signer,
    credentials: CredentialsCache,
    /// The number of seconds by which SQS's clock is ahead of this machine's; 0 unless SQS has refused a signature for its
    /// date.
    skew_secs: AtomicI64,
}

/// The reaction if the connection ends before any answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unanswered {
    /// Repeats the request, which has the same effect if it is carried out twice.
    Repeat,
    /// Returns an error, because a second execution would have another effect.
    Report,
}

impl SqsClient {
    /// Makes a client. Opens no connection.
    ///
    /// # Errors
    /// If the endpoint or the trust settings of the environment cannot be used, with a text for the user.
    pub fn new(config: ClientConfig, environment: &Environment) -> Result<Self, String> {
        let ClientConfig { endpoint, region, credentials, user_agent } = config;
        let unusable = |error: &dyn std::fmt::Display| format!("the endpoint cannot be used: {error}");
        let uri: Uri = endpoint.parse().map_err(|error| unusable(&error))?;
        let authority = uri.authority().ok_or_else(|| unusable(&"it names no host"))?;
        // The port in a signature is the one of the header, which omits the default port. It contains no user or password.
        let host = match (uri.scheme_str(), authority.port_u16()) {
            (_, None) | (Some("https"), Some(443)) | (Some("http"), Some(80)) => authority.host().to_owned(),
            (_, Some(port)) => format!("{}:{port}", authority.host()),
        };
        let path = format!("{}/", uri.path().trim_end_matches('/'));
        // Also without a user and a password.
        let uri =
            Uri::builder().scheme(uri.scheme_str().unwrap_or("https")).authority(&*host).path_and_query("/");
        let uri = uri.build().map_err(|error| unusable(&error))?;
        Ok(Self {
            signer: Signer::new(region, &host, &path),
            uri: path.parse().map_err(|error| unusable(&error))?,
            host: HeaderValue::try_from(host).map_err(|error| unusable(&error))?,
            user_agent: HeaderValue::from_static(user_agent),
            pool: Pool::new(uri, environment)?,
            credentials: CredentialsCache::new(credentials),
            skew_secs: AtomicI64::new(0),
        })
    }

    /// Receives messages with one long poll of at most `limit`.
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
        // Messages of a receive without an answer stay hidden for their visibility timeout, so the caller decides about a
        // repeat.
        let answer = self.call("AmazonSQS.ReceiveMessage", body, limit, Unanswered::Report).await?;
        decode::received(&answer).ok_or_else(undecodable)
    }

    /// Deletes at most ten messages.
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
        self.batch("AmazonSQS.DeleteMessageBatch", body, limit, Unanswered::Repeat).await
    }

    /// Changes the visibility of at most ten messages.
    ///
    /// # Errors
    /// The same as for [`delete`](Self::delete).
    pub async fn change_visibility(
        &self,
        queue_url: &str,
        entries: &[VisibilityEntry<'_>],
        limit: Duration,
    ) -> Result<BatchAnswer, RequestError> {
        let body = write::change_visibility(queue_url, entries);
        self.batch("AmazonSQS.ChangeMessageVisibilityBatch", body, limit, Unanswered::Repeat).await
    }

    /// Sends at most ten messages. A request that may have reached SQS is not repeated.
    ///
    /// # Errors
    /// The same as for [`delete`](Self::delete).
    pub async fn send(
        &self,
        queue_url: &str,
        entries: &[SendEntry<'_>],
        limit: Duration,
    ) -> Result<BatchAnswer, RequestError> {
        let body = write::send(queue_url, entries);
        self.batch("AmazonSQS.SendMessageBatch", body, limit, Unanswered::Report).await
    }

    async fn batch(
        &self,
        target: &'static str,
        body: Bytes,
        limit: Duration,
        unanswered: Unanswered,
    ) -> Result<BatchAnswer, RequestError> {
        let answer = self.call(target, body, limit, unanswered).await?;
        decode::batch(&answer).ok_or_else(undecodable)
    }

    /// Sends a request until it has an answer, within `limit`. It is repeated once after expired credentials, once after a
    /// clock difference, and, if allowed, once after a connection that ended before an answer.
    async fn call(
        &self,
        target: &'static str,
        body: Bytes,
        limit: Duration,
        unanswered: Unanswered,
    ) -> Result<Bytes, RequestError> {
        let was_written = AtomicBool::new(false);
        let answer = timeout(limit, self.call_without_limit(target, body, unanswered, &was_written)).await;
        answer.unwrap_or_else(|_| {
            let (what, kind): (_, fn(_) -> _) = if was_written.into_inner() {
                ("answer", ErrorKind::Unanswered)
            } else {
                ("connection", ErrorKind::NoConnection)
            };
            let text = format!("no {what} within {} s", limit.as_secs_f64());
            Err(RequestError::new(kind(text.clone().into()), text))
        })
    }

    async fn call_without_limit(
        &self,
        target: &'static str,
        body: Bytes,
        unanswered: Unanswered,
        was_written: &AtomicBool,
    ) -> Result<Bytes, RequestError> {
        let (mut may_refresh, mut may_correct, mut may_repeat) =
            (true, true, unanswered == Unanswered::Repeat);
        loop {
            let identity = self.credentials.get().await;
            let identity = identity.map_err(|error| {
                let text = with_causes(&error);
                RequestError::new(ErrorKind::Credentials(error), text)
            })?;
            let request = self.request(target, &body, &identity)?;
            let answer = match self.pool.send(request, was_written).await {
                Ok(answer) => answer,
                Err(NoAnswer::Closed(_)) if std::mem::take(&mut may_repeat) => continue,
                Err(error) => return Err(unanswered_error(error)),
            };
            if answer.status().is_success() {
                return Ok(answer.into_body());
            }
            // SQS has refused the request, so no part of it was carried out.
            was_written.store(false, Ordering::Relaxed);
            let error = service_error(&answer);
            let code = error.code().unwrap_or_default();
            if EXPIRED.contains(&code) && std::mem::take(&mut may_refresh) {
                self.credentials.refused(&identity);
            } else if !SKEWED.contains(&code)
                || !std::mem::take(&mut may_correct)
                || !self.correct_skew(answer.headers())
            {
                return Err(error);
            }
        }
    }

    fn request(
        &self,
        target: &'static str,
        body: &Bytes,
        identity: &Identity,
    ) -> Result<Request<Full<Bytes>>, RequestError> {
        let signed = self.signer.sign(self.now(), identity, target, body).map_err(|error| {
            let error = CredentialsError::invalid_configuration(error);
            RequestError::new(
                ErrorKind::Credentials(error),
                "the access key has a character that no header may have",
            )
        })?;
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.reserve(8);
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(sign::CONTENT_TYPE));
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.insert(X_AMZ_TARGET, HeaderValue::from_static(target));
        headers.insert(QUERY_MODE, HeaderValue::from_static("true"));
        headers.insert(X_AMZ_DATE, signed.date);
        if let Some(token) = &identity.token {
            headers.insert(X_AMZ_SECURITY_TOKEN, token.clone());
        }
        headers.insert(AUTHORIZATION, signed.authorization);
        Ok(request)
    }

    /// Returns the time of SQS's clock, if the difference matters.
    fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        let skew = self.skew_secs.load(Ordering::Relaxed);
        let by = Duration::from_secs(skew.unsigned_abs());
        let corrected = if skew < 0 { now.checked_sub(by) } else { now.checked_add(by) };
        corrected.unwrap_or(now)
    }

    /// Reads SQS's time from an answer that refuses a signature. Returns true if the clocks differ by too much.
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

/// The header with the time until the next request, in milliseconds.
const RETRY_AFTER: &str = "x-amz-retry-after";

/// The header with the error's code in the Query protocol, such as `AWS.SimpleQueueService.NonExistentQueue;Sender`.
const QUERY_ERROR: &str = "x-amzn-query-error";

/// The header with the error's code in some cases, such as `InternalFailure:http://…`.
const ERROR_TYPE: &str = "x-amzn-errortype";

fn service_error(answer: &Response<Bytes>) -> RequestError {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let (by_body, message) = decode::error(answer.body());
    let by_query =
        header(QUERY_ERROR).and_then(|value| value.split_once(';')).map(|(code, _)| code.to_owned());
    // Without the address after it, which may contain a `#`, and the namespace before it.
    let plain = |code: &str| {
        let code = code.split(':').next().unwrap_or(code);
        code.rsplit('#').next().unwrap_or(code).to_owned()
    };
    let by_type = || header(ERROR_TYPE).or(by_body.as_deref()).map(plain);
    let code = by_query.filter(|code| !code.is_empty()).or_else(by_type).unwrap_or_default();
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
