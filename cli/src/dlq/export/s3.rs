//! An export to S3: objects of some megabytes, each an export of its own, written once and never over another.

use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use bytes::Bytes;
use drumline_aws::{Environment, SignedApi};
use drumline_consumer::ExitError;
use drumline_dlq::line::Header;
use drumline_runtime::write_json;
use http::{Request, Response, StatusCode};
use serde::Serialize;
use ulid::Ulid;

/// The scheme of such a target.
pub(super) const SCHEME: &str = "s3://";

/// An object is written once it has so many bytes.
const OBJECT_BYTES: usize = 8 << 20;

/// Or once its first letter has waited for so long. Letters that are to be deleted are held meanwhile.
const OBJECT_AGE: Duration = Duration::from_secs(60);

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often an object is sent.
const TRIES: u32 = 4;

/// The wait after the first time. It doubles.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// The header by which S3 names the region of a bucket.
const BUCKET_REGION: &str = "x-amz-bucket-region";

/// The metadata by which an object is known as this process's own, if the answer to its request is lost.
const OWN: &str = "x-amz-meta-drumline-export";

/// An export to S3.
pub(in crate::dlq) struct Objects {
    config: SdkConfig,
    api: SignedApi,
    bucket: String,
    /// The beginning of keys, with a slash at its end.
    prefix: String,
    header: Header,
    lines: Vec<u8>,
    since: Option<Instant>,
    written: u32,
    bytes: u64,
}

/// A request that S3 has not accepted.
enum Refusal {
    /// It may be accepted later.
    Passing(String),
    /// The bucket is in this region.
    OtherRegion(String),
    /// There is such an object.
    Taken,
    Final(ExitError),
}

impl Objects {
    /// An export under `s3://BUCKET/PREFIX`, with the name of the export behind it.
    pub(super) fn open(target: &str, header: &Header, config: &SdkConfig) -> Result<Self, ExitError> {
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
        Ok(Self {
            config: config.clone(),
            api,
            bucket: bucket.to_owned(),
            prefix: format!("{prefix}{slash}{}/", header.name),
            header: header.clone(),
            lines: Vec::new(),
            since: None,
            written: 0,
            bytes: 0,
        })
    }

    /// The place of the objects.
    pub(super) fn place(&self) -> String {
        format!("{SCHEME}{}/{}", self.bucket, self.prefix)
    }

    /// The bytes that are written.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a line to the next object.
    pub(super) fn append(&mut self, value: &impl Serialize) -> Result<(), ExitError> {
        if self.lines.is_empty() {
            write_json(&mut self.lines, &self.header).map_err(std::io::Error::from)?;
            self.lines.push(b'\n');
            self.since = Some(Instant::now());
        }
        write_json(&mut self.lines, value).map_err(std::io::Error::from)?;
        self.lines.push(b'\n');
        Ok(())
    }

    /// Returns true if the next object is large enough, or has waited for long enough.
    pub(super) fn is_due(&self) -> bool {
        self.lines.len() >= OBJECT_BYTES || self.since.is_some_and(|since| since.elapsed() >= OBJECT_AGE)
    }

    /// Writes the object so far, and waits until S3 confirms it.
    pub(super) async fn commit(&mut self) -> Result<(), ExitError> {
        if self.lines.is_empty() {
            return Ok(());
        }
        self.since = None;
        let body = Bytes::from(std::mem::take(&mut self.lines));
        let key = format!("{}{:06}.jsonl", self.prefix, self.written + 1);
        let token = Ulid::generate().to_string();
        let mut attempt = 0;
        loop {
            match self.put(&key, &token, &body).await {
                Ok(()) => break,
                Err(Refusal::OtherRegion(region)) if region != self.api.region() => {
                    let environment = Environment::of_process();
                    self.api = SignedApi::new(&self.config, &environment, "s3", Some(&region))
                        .map_err(ExitError::usage)?;
                }
                Err(Refusal::OtherRegion(region)) => {
                    return Err(self.unwritable(&key, &format!("the bucket is in {region}")));
                }
                // It may be this very object, whose answer was lost.
                Err(Refusal::Taken) => {
                    self.expect_own(&key, &token).await?;
                    break;
                }
                Err(Refusal::Final(error)) => return Err(error),
                Err(Refusal::Passing(why)) => {
                    attempt += 1;
                    if attempt == TRIES {
                        return Err(self.unwritable(&key, &why));
                    }
                    tokio::time::sleep(TRY_AGAIN * 2_u32.pow(attempt - 1)).await;
                }
            }
        }
        self.written += 1;
        self.bytes += body.len() as u64;
        Ok(())
    }

    /// See [PutObject](https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html).
    async fn put(&self, key: &str, token: &str, body: &Bytes) -> Result<(), Refusal> {
        let request = Request::put(self.uri(key))
            .header("content-type", "application/jsonl")
            .header("if-none-match", "*")
            .header(OWN, token)
            .body(body.clone());
        let request = request.map_err(|error| Refusal::Final(self.unwritable(key, &error.to_string())))?;
        let response = self.api.send(request, PATIENCE).await.map_err(Refusal::Passing)?;
        let status = response.status();
        let region = response.headers().get(BUCKET_REGION).and_then(|region| region.to_str().ok());
        match (status, region) {
            _ if status.is_success() => Ok(()),
            (StatusCode::PRECONDITION_FAILED, _) => Err(Refusal::Taken),
            // Two writers at once: one of them is refused, and asked to try again.
            (StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT, _) => {
                Err(Refusal::Passing(said(&response)))
            }
            _ if status.is_server_error() => Err(Refusal::Passing(said(&response))),
            (_, Some(region)) if region != self.api.region() => Err(Refusal::OtherRegion(region.to_owned())),
            (StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED, _) => {
                Err(Refusal::Final(ExitError::unavailable(format!(
                    "s3:PutObject to {SCHEME}{}/{key}: {}",
                    self.bucket,
                    said(&response)
                ))))
            }
            _ => Err(Refusal::Final(self.unwritable(key, &said(&response)))),
        }
    }

    /// An error unless the object is the one of this process.
    async fn expect_own(&self, key: &str, token: &str) -> Result<(), ExitError> {
        let request = Request::head(self.uri(key)).body(Bytes::new());
        let request = request.map_err(|error| self.unwritable(key, &error.to_string()))?;
        let response = self.api.send(request, PATIENCE).await;
        let response = response.map_err(|why| self.unwritable(key, &why))?;
        let found = response.headers().get(OWN).and_then(|token| token.to_str().ok());
        if found == Some(token) {
            return Ok(());
        }
        Err(ExitError::usage(format!(
            "{SCHEME}{}/{key} is there already: give the export another name by --name",
            self.bucket
        )))
    }

    fn uri(&self, key: &str) -> String {
        format!("{}/{}/{key}", self.api.endpoint(), self.bucket)
    }

    fn unwritable(&self, key: &str, why: &str) -> ExitError {
        ExitError::other(format!("{SCHEME}{}/{key} cannot be written: {why}", self.bucket))
    }
}

/// The status and the words of an answer.
fn said(response: &Response<Bytes>) -> String {
    let text = String::from_utf8_lossy(response.body());
    let between = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(words, _)| words.to_owned())
    };
    let words = [between("Code"), between("Message")].into_iter().flatten().collect::<Vec<_>>().join(": ");
    format!("S3 answers {} {words}", response.status().as_u16())
}
