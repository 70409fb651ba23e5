//! The few requests to S3 that exports need: objects are written once, listed and read.

mod bucket;
mod listing;
mod stored;

pub(super) use bucket::{Bucket, is_s3};
pub(super) use listing::object_key;
pub(super) use stored::StoredExport;

/// The scheme of a place in S3.
const SCHEME: &str = "s3://";

/// The time that one request may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The greatest number of times that a request is sent.
const TRIES: u32 = 4;

/// The wait after the first time. It doubles.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// The header by which S3 names the region of a bucket.
const BUCKET_REGION: &str = "x-amz-bucket-region";

/// The metadata by which an object is known as this process's own, if the answer to its request is lost.
const OWN: &str = "x-amz-meta-drumline-export";

/// Returns true if a target is a place in S3.
pub(super) fn is_s3(target: &str) -> bool {
    target.starts_with(SCHEME)
}

/// A bucket.
pub(super) struct Bucket {
    config: SdkConfig,
    api: SignedApi,
    name: String,
}

/// A request, and how errors name it.
struct Call<'a> {
    method: Method,
    /// The path behind the bucket, with the query.
    path: &'a str,
    headers: &'a [(&'static str, &'a str)],
    body: Bytes,
    /// The longest body of an answer.
    max_bytes: usize,
}

/// A request that S3 has not accepted.
enum Refusal {
    /// It may be accepted later.
    Passing(String),
    /// The bucket is in this region.
    OtherRegion(String),
    /// There is such an object.
    Taken,
    /// A permission is missing.
    Denied(String),
    Final(String),
}

impl Bucket {
    /// Opens the bucket of `s3://BUCKET/PREFIX`. Returns the beginning of keys, too, with a slash at its end unless it is empty.
    pub(super) fn open(target: &str, config: &SdkConfig) -> Result<(Self, String), ExitError> {
        let rest = target.strip_prefix(SCHEME).unwrap_or(target);
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_bucket = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let is_key = |c: char| is_bucket(c) || matches!(c, '/' | '=');
        if bucket.is_empty() || !bucket.chars().all(is_bucket) || !prefix.chars().all(is_key) {
            return Err(ExitError::usage(format!(
                "{target} is no place of an export: write it as s3://BUCKET/PREFIX, of letters, digits and -._=/"
            )));
        }
        let api = SignedApi::new(config, &Environment::of_process(), "s3", None).map_err(ExitError::usage)?;
        let prefix = prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        Ok((Self { config: config.clone(), api, name: bucket.to_owned() }, format!("{prefix}{slash}")))
    }

    /// The place of an object, or of all those whose keys begin so.
    pub(super) fn place(&self, key: &str) -> String {
        format!("{SCHEME}{}/{key}", self.name)
    }

    /// Writes a new object, and waits until S3 confirms it. Returns false if another one has this key.
    ///
    /// See [PutObject](https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html).
    pub(super) async fn put_new(&mut self, key: &str, body: &Bytes) -> Result<bool, ExitError> {
        let token = Ulid::generate().to_string();
        let headers = [("content-type", "application/jsonl"), ("if-none-match", "*"), (OWN, &token)];
        let call =
            Call { method: Method::PUT, path: key, headers: &headers, body: body.clone(), max_bytes: 0 };
        match self.send(&call).await {
            Ok(_) => Ok(true),
            // It may be this very object, whose answer was lost.
            Err(Refusal::Taken) => self.is_own(key, &token).await,
            Err(refusal) => Err(self.error(refusal, "s3:PutObject to", key, "written")),
        }
    }

    /// Returns true if an object is the one of this process.
    async fn is_own(&mut self, key: &str, token: &str) -> Result<bool, ExitError> {
        let call = Call { method: Method::HEAD, path: key, headers: &[], body: Bytes::new(), max_bytes: 0 };
        match self.send(&call).await {
            Ok(response) => Ok(response.headers().get(OWN).is_some_and(|found| found == token)),
            Err(refusal) => Err(self.error(refusal, "s3:GetObject of", key, "read")),
        }
    }

    /// Reads an object of this size.
    ///
    /// See [GetObject](https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html).
    async fn get(&mut self, key: &str, size: usize) -> Result<Bytes, ExitError> {
        let call = Call { method: Method::GET, path: key, headers: &[], body: Bytes::new(), max_bytes: size };
        match self.send(&call).await {
            Ok(response) => Ok(response.into_body()),
            Err(refusal) => Err(self.error(refusal, "s3:GetObject of", key, "read")),
        }
    }

    /// Sends a request until S3 has answered it for good.
    async fn send(&mut self, call: &Call<'_>) -> Result<Response<Bytes>, Refusal> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.send_once(call).await {
                Err(Refusal::OtherRegion(region)) if attempt < TRIES => {
                    let environment = Environment::of_process();
                    self.api = SignedApi::new(&self.config, &environment, "s3", Some(&region))
                        .map_err(Refusal::Final)?;
                }
                Err(Refusal::Passing(_)) if attempt < TRIES => {
                    tokio::time::sleep(TRY_AGAIN * 2_u32.pow(attempt - 1)).await;
                }
                Err(Refusal::Passing(why)) => return Err(Refusal::Final(why)),
                Err(Refusal::OtherRegion(region)) => {
                    return Err(Refusal::Final(format!("the bucket is in {region}")));
                }
                answer => return answer,
            }
        }
    }

    async fn send_once(&self, call: &Call<'_>) -> Result<Response<Bytes>, Refusal> {
        let uri = format!("{}/{}/{}", self.api.endpoint(), self.name, call.path);
        let mut request = Request::builder().method(&call.method).uri(uri);
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(call.body.clone()).map_err(|error| Refusal::Final(error.to_string()))?;
        let response =
            self.api.send_bounded(request, PATIENCE, call.max_bytes).await.map_err(Refusal::Passing)?;
        let status = response.status();
        let region = response.headers().get(BUCKET_REGION).and_then(|region| region.to_str().ok());
        match (status, region) {
            _ if status.is_success() => Ok(response),
            (StatusCode::PRECONDITION_FAILED, _) => Err(Refusal::Taken),
            // Two writers at once: one of them is refused, and asked to try again.
            (StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT, _) => {
                Err(Refusal::Passing(said(&response)))
            }
            _ if status.is_server_error() => Err(Refusal::Passing(said(&response))),
            (_, Some(region)) if region != self.api.region() => Err(Refusal::OtherRegion(region.to_owned())),
            (StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED, _) => Err(Refusal::Denied(said(&response))),
            _ => Err(Refusal::Final(said(&response))),
        }
    }

    fn error(&self, refusal: Refusal, permission: &str, key: &str, done: &str) -> ExitError {
        let place = self.place(key);
        match refusal {
            Refusal::Denied(why) => ExitError::unavailable(format!("{permission} {place}: {why}")),
            Refusal::Passing(why) | Refusal::Final(why) => {
                ExitError::other(format!("{place} cannot be {done}: {why}"))
            }
            Refusal::OtherRegion(region) => {
                ExitError::other(format!("{place} cannot be {done}: the bucket is in {region}"))
            }
            Refusal::Taken => ExitError::other(format!("{place} cannot be {done}: it is there already")),
        }
    }
}

/// The status and the words of an answer.
fn said(response: &Response<Bytes>) -> String {
    let text = String::from_utf8_lossy(response.body());
    let words = [between(&text, "Code"), between(&text, "Message")];
    let words = words.into_iter().flatten().collect::<Vec<_>>().join(": ");
    format!("S3 answers {} {words}", response.status().as_u16())
}

/// The text of the first XML element of this name.
fn between<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    rest.split_once(&format!("</{tag}>")).map(|(words, _)| words)
}
