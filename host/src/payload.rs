//! Payloads outside of their message: read from S3, and decompressed, before a message is decoded.
//!
//! Only allowed buckets are read, and at most the configured size, so that a message cannot make its worker read any object.
//! Objects are never deleted, because replays, DLQ copies and other queues of a fan-out may need them: a lifecycle rule expires
//! them.

mod compression;
mod settings;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use bytes::Bytes;
use drumline::core::MaybeReady;
use drumline::message::{EncodedBody, Message, PayloadPointer};
use drumline::run::OpenError;
use drumline_aws::{Environment, S3, S3Error, S3Request, object_path};
use http::Method;
use tokio::sync::{OnceCell, Semaphore};
use url::Url;

use crate::aws::connect;
pub use compression::{compress, decompress};
pub use settings::{AllowedBuckets, PayloadPlace, PayloadSettings};
pub(crate) use settings::{allowed_buckets, byte_size};

/// The time limit of one request for an object. It is sent at most four times, while the message's lease is renewed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The number of objects that a process reads and decodes concurrently. Each takes up to three times `max_payload_size`, as
/// base64, as compressed bytes and as text, in addition to the bodies of runs: 384 MiB in all with the default of 16 MiB. S3
/// answers within a tenth of a second, so eight concurrent reads are some eighty payloads a second.
const MAX_OPENING: usize = 8;

static OPENING: Semaphore = Semaphore::const_new(MAX_OPENING);

/// Opens messages whose payload is in S3, or compressed. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Payloads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: PayloadSettings,
    /// Limits the objects that are read and decoded concurrently.
    opening: &'static Semaphore,
    account: Account,
    /// The S3 client, made for the first pointer, because most workers never receive one.
    s3: OnceCell<S3>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            settings: PayloadSettings::default(),
            opening: &OPENING,
            account: Account::default(),
            s3: OnceCell::new(),
        }
    }
}

/// The region and credentials of requests to S3.
#[derive(Default)]
enum Account {
    /// No account, because no bucket is allowed.
    #[default]
    None,
    Known(Box<SdkConfig>),
    /// The account of the requests to this queue.
    OfQueue(Url),
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Known(_) => "Known",
            Self::OfQueue(_) => "OfQueue",
        })
    }
}

impl Payloads {
    /// Makes a reader with the region, credentials and endpoint of `config`.
    pub fn new(settings: PayloadSettings, config: SdkConfig) -> Self {
        Self::with(settings, Account::Known(Box::new(config)))
    }

    /// Makes a reader with the account of the queue at `url`, which is found with the first pointer.
    pub fn for_queue(settings: PayloadSettings, url: Url) -> Self {
        Self::with(settings, Account::OfQueue(url))
    }

    fn with(settings: PayloadSettings, account: Account) -> Self {
        Self(Arc::new(Inner { settings, account, ..Inner::default() }))
    }

    /// Opens a message for its run: [`RunEnvironment::open`](drumline::run::RunEnvironment::open).
    pub(crate) fn open(&self, message: &Arc<Message>) -> MaybeReady<'_, Result<Option<Message>, OpenError>> {
        if matches!(EncodedBody::of(message), Ok(None)) {
            return MaybeReady::now(Ok(None));
        }
        let message = Arc::clone(message);
        MaybeReady::later(async move { self.opened(&message).await })
    }

    /// Returns the message with its payload in the form for a handler; `None` if the message already has that form.
    ///
    /// # Errors
    /// The same as for a run.
    pub async fn opened(&self, message: &Message) -> Result<Option<Message>, OpenError> {
        match EncodedBody::of(message) {
            Ok(None) => Ok(None),
            Ok(Some(encoded)) => {
                let text = self.text(&encoded, message).await?;
                Ok(Some(encoded.open(message, text)))
            }
            Err(error) => Err(OpenError::Permanent(error.to_string())),
        }
    }

    async fn text(&self, encoded: &EncodedBody, message: &Message) -> Result<String, OpenError> {
        let max_bytes = self.0.settings.max_bytes;
        let Some(pointer) = &encoded.pointer else {
            let body = encoded.text(message);
            let text = match encoded.encoding {
                Some(encoding) => decompress(encoding, body.as_bytes(), max_bytes),
                None => Ok(body.to_owned()),
            };
            return text.map_err(|problem| OpenError::Permanent(format!("the body {problem}")));
        };
        self.check(pointer, encoded.size)?;
        // The permit is held until the payload is decoded.
        let _place = self.0.opening.acquire().await.map_err(|closed| OpenError::Retry(closed.to_string()))?;
        let object = self.get(pointer).await?;
        let text = match encoded.encoding {
            Some(encoding) => decompress(encoding, &object, max_bytes),
            // Takes over the bytes instead of copying them.
            None => String::from_utf8(Vec::from(object)).map_err(|_| "is not UTF-8".to_owned()),
        };
        text.map_err(|problem| OpenError::Permanent(format!("the payload {pointer} {problem}")))
    }

    /// Checks that the settings allow reading an object, as far as its message shows.
    fn check(&self, pointer: &PayloadPointer, size: Option<u64>) -> Result<(), OpenError> {
        let Inner { settings, .. } = &*self.0;
        if settings.buckets.is_empty() {
            return Err(OpenError::Retry(format!(
                "the payload is in {pointer}, and this worker reads none from S3: name the bucket in DRUMLINE_PAYLOAD_BUCKETS"
            )));
        }
        if !settings.buckets.allows(pointer) {
            return Err(OpenError::Retry(format!(
                "the payload is in {pointer}, which is not among DRUMLINE_PAYLOAD_BUCKETS"
            )));
        }
        if size.is_some_and(|size| size > settings.max_bytes as u64) {
            return Err(self.too_large(pointer));
        }
        Ok(())
    }

    fn too_large(&self, pointer: &PayloadPointer) -> OpenError {
        let max_bytes = self.0.settings.max_bytes;
        OpenError::Permanent(format!(
            "the payload {pointer} is larger than DRUMLINE_MAX_PAYLOAD_SIZE ({max_bytes} bytes)"
        ))
    }

    async fn get(&self, pointer: &PayloadPointer) -> Result<Bytes, OpenError> {
        let max_bytes = self.0.settings.max_bytes;
        let s3 = self.s3().await.map_err(OpenError::Retry)?;
        let request = S3Request {
            method: Method::GET,
            bucket: &pointer.bucket,
            path: &object_path(&pointer.key),
            headers: &[],
            body: Bytes::new(),
            max_bytes,
        };
        match s3.send(&request).await {
            Ok(response) if response.body().len() <= max_bytes => Ok(response.into_body()),
            Ok(_) | Err(S3Error::TooLarge) => Err(self.too_large(pointer)),
            Err(S3Error::NoSuchKey(said)) => {
                Err(OpenError::Permanent(format!("the payload {pointer} does not exist: {said}")))
            }
            Err(S3Error::Denied(said)) => Err(OpenError::Retry(format!(
                "the payload {pointer} may not be read: {said}. It needs s3:GetObject on the object, and s3:ListBucket on the \
                 bucket: without that S3 says the same of an object that does not exist"
            ))),
            Err(error) => Err(OpenError::Retry(format!("the payload {pointer} cannot be read: {error}"))),
        }
    }

    async fn s3(&self) -> Result<&S3, String> {
        let Inner { account, s3, .. } = &*self.0;
        let make = async || {
            let config = match account {
                Account::None => return Err("no AWS account is known to read payloads with".to_owned()),
                Account::Known(config) => (**config).clone(),
                Account::OfQueue(url) => connect(url, Duration::ZERO).await?.config,
            };
            S3::new(&config, &Environment::of_process(), PATIENCE)
        };
        s3.get_or_try_init(make).await
    }
}

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
