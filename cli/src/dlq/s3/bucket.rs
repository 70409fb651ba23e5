//! A bucket for exports.

use std::time::Duration;

use aws_config::SdkConfig;
use bytes::Bytes;
use drumline_aws::{Environment, S3, S3Error, S3Request};
use drumline_consumer::ExitError;
use http::{Method, Response};
use ulid::Ulid;

/// The scheme of S3 targets.
const SCHEME: &str = "s3://";

/// The timeout of one request.
const PATIENCE: Duration = Duration::from_secs(60);

/// The metadata that identifies an object of this process if the response to its request is lost.
const OWN: &str = "x-amz-meta-drumline-export";

/// Returns true if a target is in S3.
pub(in crate::dlq) fn is_s3(target: &str) -> bool {
    target.starts_with(SCHEME)
}

/// A bucket.
pub(in crate::dlq) struct Bucket {
    s3: S3,
    name: String,
}

/// A request for an object of the bucket, or for the bucket.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// The path after the bucket, with the query.
    pub(super) path: &'a str,
    pub(super) headers: &'a [(&'static str, &'a str)],
    pub(super) body: Bytes,
    /// The largest length of a response body.
    pub(super) max_bytes: usize,
}

impl Bucket {
    /// Opens the bucket of `s3://BUCKET/PREFIX`. Also returns the key prefix, which has a slash at its end unless it is empty.
    pub(in crate::dlq) fn open(target: &str, config: &SdkConfig) -> Result<(Self, String), ExitError> {
        let rest = target.strip_prefix(SCHEME).unwrap_or(target);
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_bucket = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let is_key = |c: char| is_bucket(c) || matches!(c, '/' | '=');
        if bucket.is_empty() || !bucket.chars().all(is_bucket) || !prefix.chars().all(is_key) {
            return Err(ExitError::usage(format!(
                "{target} is no place of an export: write it as s3://BUCKET/PREFIX, of letters, digits and -._=/"
            )));
        }
        let s3 = S3::new(config, &Environment::of_process(), PATIENCE).map_err(ExitError::usage)?;
        let prefix = prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        Ok((Self { s3, name: bucket.to_owned() }, format!("{prefix}{slash}")))
    }

    /// Returns the place of an object, or of all objects whose keys begin with `key`.
    pub(in crate::dlq) fn place(&self, key: &str) -> String {
        format!("{SCHEME}{}/{key}", self.name)
    }

    /// Writes a new object, and waits until S3 confirms it. Returns false if another object has this key.
    ///
    /// See [PutObject](https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html).
    pub(in crate::dlq) async fn put_new(&self, key: &str, body: &Bytes) -> Result<bool, ExitError> {
        let token = Ulid::generate().to_string();
        let headers = [("content-type", "application/jsonl"), ("if-none-match", "*"), (OWN, &token)];
        let call =
            Call { method: Method::PUT, path: key, headers: &headers, body: body.clone(), max_bytes: 0 };
        match self.send(&call).await {
            Ok(_) => Ok(true),
            // It may be this process's own object, if the response was lost.
            Err(S3Error::Exists(_)) => self.is_own(key, &token).await,
            Err(error) => Err(self.error(error, "s3:PutObject to", key, "written")),
        }
    }

    /// Returns true if this process has written the object.
    async fn is_own(&self, key: &str, token: &str) -> Result<bool, ExitError> {
        let call = Call { method: Method::HEAD, path: key, headers: &[], body: Bytes::new(), max_bytes: 0 };
        match self.send(&call).await {
            Ok(response) => Ok(response.headers().get(OWN).is_some_and(|found| found == token)),
            Err(error) => Err(self.error(error, "s3:GetObject of", key, "read")),
        }
    }

    /// Reads an object of this size.
    ///
    /// See [GetObject](https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html).
    pub(super) async fn get(&self, key: &str, size: usize) -> Result<Bytes, ExitError> {
        let call = Call { method: Method::GET, path: key, headers: &[], body: Bytes::new(), max_bytes: size };
        match self.send(&call).await {
            Ok(response) => Ok(response.into_body()),
            Err(error) => Err(self.error(error, "s3:GetObject of", key, "read")),
        }
    }

    /// Sends a request until S3 has answered it.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Response<Bytes>, S3Error> {
        let Call { method, path, headers, body, max_bytes } = call;
        let (method, body) = (method.clone(), body.clone());
        let request = S3Request { method, bucket: &self.name, path, headers, body, max_bytes: *max_bytes };
        self.s3.send(&request).await
    }

    pub(super) fn error(&self, error: S3Error, permission: &str, key: &str, done: &str) -> ExitError {
        let place = self.place(key);
        match error {
            S3Error::Denied(why) => ExitError::unavailable(format!("{permission} {place}: {why}")),
            S3Error::Exists(_) => ExitError::other(format!("{place} cannot be {done}: it is there already")),
            other => ExitError::other(format!("{place} cannot be {done}: {other}")),
        }
    }
}
