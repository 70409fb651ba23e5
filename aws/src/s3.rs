//! Access to S3 objects by single signed requests, which are retried while S3 does not respond, and sent to the region of their
//! bucket.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::http::{Method, Request, Response, StatusCode};
use aws_config::SdkConfig;
use bytes::Bytes;

use crate::environment::Environment;
use crate::request::NoAnswer;
use crate::signed::SignedApi;

/// S3's name in signatures and host names.
const SERVICE: &str = "s3";

/// The number of attempts of a request.
const TRIES: u32 = 4;

/// The wait after the first attempt. It doubles.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// The header with which S3 returns the region of a bucket.
const BUCKET_REGION: &str = "x-amz-bucket-region";

/// The error code of an object that does not exist. The response to a `HEAD` request has no code.
const NO_SUCH_KEY: &str = "NoSuchKey";

/// The error code of a bucket that does not exist.
const NO_SUCH_BUCKET: &str = "NoSuchBucket";

/// An S3 client of a process. It remembers the regions of buckets.
pub struct S3 {
    config: SdkConfig,
    environment: Environment,
    patience: Duration,
    home: SignedApi,
    /// The APIs of buckets in other regions.
    elsewhere: Mutex<HashMap<String, SignedApi>>,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("endpoint", &self.home.endpoint()).finish_non_exhaustive()
    }
}

/// A request about a bucket or an object.
#[derive(Debug)]
pub struct S3Request<'a> {
    /// The method.
    pub method: Method,
    /// The bucket.
    pub bucket: &'a str,
    /// The path after the bucket, with the query; for a key, its [`object_path`].
    pub path: &'a str,
    /// Headers.
    pub headers: &'a [(&'static str, &'a str)],
    /// The body.
    pub body: Bytes,
    /// The largest size of a response body; responses of up to [`MAX_ANSWER_BYTES`](crate::MAX_ANSWER_BYTES) are always read.
    pub max_bytes: usize,
}

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Error {
    /// S3 did not respond, or asked to retry, at each attempt.
    Unavailable(String),
    /// The object does not exist.
    NoSuchKey(String),
    /// The object exists, but the request required a new one.
    Exists(String),
    /// A permission is missing. Without `s3:ListBucket`, S3 also returns this for an object that does not exist.
    Denied(String),
    /// The object is larger than the request allows.
    TooLarge,
    /// Any other error: no such bucket, invalid credentials, an invalid request.
    Other(String),
}

impl fmt::Display for S3Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable(text)
            | Self::NoSuchKey(text)
            | Self::Exists(text)
            | Self::Denied(text)
            | Self::Other(text) => text,
            Self::TooLarge => "the object is too large",
        })
    }
}

impl std::error::Error for S3Error {}

/// The failed response of one attempt.
enum Failure {
    /// A later attempt may succeed.
    Passing(String),
    /// The bucket is in this region.
    OtherRegion(String),
    Final(S3Error),
}

impl S3 {
    /// Creates a client with these settings. One attempt of a request takes at most `patience`.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`SignedApi::new`].
    pub fn new(config: &SdkConfig, environment: &Environment, patience: Duration) -> Result<Self, String> {
        let home = SignedApi::new(config, environment, SERVICE, None)?;
        let (config, environment) = (config.clone(), environment.clone());
        Ok(Self { config, environment, patience, home, elsewhere: Mutex::default() })
    }

    /// Sends a request until S3 has responded, at most four times.
    pub async fn send(&self, request: &S3Request<'_>) -> Result<Response<Bytes>, S3Error> {
        let mut api = self.api_of(request.bucket);
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.send_once(&api, request).await {
                Ok(response) => return Ok(response),
                Err(Failure::OtherRegion(region)) if attempt < TRIES => {
                    api = self.in_region(request.bucket, &region).map_err(S3Error::Other)?;
                }
                Err(Failure::Passing(_)) if attempt < TRIES => {
                    tokio::time::sleep(TRY_AGAIN * 2_u32.pow(attempt - 1)).await;
                }
                Err(Failure::Passing(text)) => return Err(S3Error::Unavailable(text)),
                Err(Failure::OtherRegion(region)) => {
                    return Err(S3Error::Other(format!("the bucket is in {region}")));
                }
                Err(Failure::Final(error)) => return Err(error),
            }
        }
    }

    fn api_of(&self, bucket: &str) -> SignedApi {
        let elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        elsewhere.get(bucket).unwrap_or(&self.home).clone()
    }

    fn in_region(&self, bucket: &str, region: &str) -> Result<SignedApi, String> {
        let api = SignedApi::new(&self.config, &self.environment, SERVICE, Some(region))?;
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        elsewhere.insert(bucket.to_owned(), api.clone());
        Ok(api)
    }

    async fn send_once(&self, api: &SignedApi, request: &S3Request<'_>) -> Result<Response<Bytes>, Failure> {
        let uri = format!("{}/{}/{}", api.endpoint(), request.bucket, request.path);
        let mut http = Request::builder().method(&request.method).uri(uri);
        for (name, value) in request.headers {
            http = http.header(*name, *value);
        }
        let http = http.body(request.body.clone());
        let http = http.map_err(|error| Failure::Final(S3Error::Other(error.to_string())))?;
        let answer = api.send_bounded(http, self.patience, request.max_bytes).await;
        let response = answer.map_err(|error| match error {
            NoAnswer::TooLarge => Failure::Final(S3Error::TooLarge),
            NoAnswer::Failed(text) => Failure::Passing(text),
        })?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(failure(api, &request.method, &response))
        }
    }
}

fn failure(api: &SignedApi, method: &Method, response: &Response<Bytes>) -> Failure {
    let status = response.status();
    let body = String::from_utf8_lossy(response.body());
    let code = xml_text(&body, "Code");
    let text = said(status, &body);
    let region = response.headers().get(BUCKET_REGION).and_then(|region| region.to_str().ok());
    match (status, region) {
        (StatusCode::PRECONDITION_FAILED, _) => Failure::Final(S3Error::Exists(text)),
        // If two writers conflict, S3 refuses one of them, and asks it to retry.
        (StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT, _) => {
            Failure::Passing(text)
        }
        _ if status.is_server_error() => Failure::Passing(text),
        (_, Some(region)) if region != api.region() => Failure::OtherRegion(region.to_owned()),
        (StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED, _) => Failure::Final(S3Error::Denied(text)),
        (StatusCode::NOT_FOUND, _) => match code {
            Some(NO_SUCH_KEY) => Failure::Final(S3Error::NoSuchKey(text)),
            // S3 always returns a code: this is the response of a proxy or of another server, and says nothing about the
            // object.
            None if method == Method::GET => Failure::Passing(text),
            Some(NO_SUCH_BUCKET) => Failure::Final(S3Error::Other(text)),
            Some(_) if method == Method::GET => Failure::Final(S3Error::Other(text)),
            _ => Failure::Final(S3Error::NoSuchKey(text)),
        },
        _ => Failure::Final(S3Error::Other(text)),
    }
}

/// Returns the status and the text of a response.
fn said(status: StatusCode, body: &str) -> String {
    let words = [xml_text(body, "Code"), xml_text(body, "Message")];
    let words = words.into_iter().flatten().collect::<Vec<_>>().join(": ");
    format!("S3 answers {} {words}", status.as_u16()).trim_end().to_owned()
}

/// Returns the text of the first XML element with this name.
pub fn xml_text<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    rest.split_once(&format!("</{tag}>")).map(|(words, _)| words)
}

/// Returns the path of an object: its key, encoded for a URL.
///
/// ```
/// assert_eq!(drumline_aws::object_path("jobs/ü 1+"), "jobs/%C3%BC%201%2B");
/// ```
pub fn object_path(key: &str) -> String {
    let mut path = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            path.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

#[cfg(test)]
#[path = "s3_tests.rs"]
mod tests;
