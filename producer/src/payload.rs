//! Large messages: their bodies are compressed, or put into S3 with a pointer in the message.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use bytes::Bytes;
use drumline::message::{
    Attribute, CONTENT_ENCODING_ATTRIBUTE, PAYLOAD_SIZE_ATTRIBUTE, PayloadPointer, payload_size_attribute,
};
use drumline_aws::{Environment, S3, S3Request, object_path};
use drumline_runtime::limits::{MAX_ATTRIBUTES, MAX_MESSAGE_BYTES};
use drumline_runtime::payload::{PayloadPlace, PayloadSettings, compress};
use http::Method;
use ulid::Ulid;

use crate::attributes::TRACEPARENT;
use crate::pack::Outgoing;

/// The time limit of one request. It is sent at most four times.
const PATIENCE: Duration = Duration::from_secs(30);

/// The content type of an object: the Extended Clients read it as text.
const CONTENT_TYPE: (&str, &str) = ("content-type", "text/plain; charset=utf-8");

/// Compresses or offloads large messages. Cheap to clone.
///
/// The body of a message above the threshold is compressed if that is enabled. It is put into S3 if the message is still above
/// the threshold, or if compression is disabled. The object contains the body as SQS would have it, so that the public SQS
/// Extended Clients can read it. An object is written before its message is sent, and stays even if the message cannot be sent.
/// Drumline never deletes it: a lifecycle rule of the bucket must expire it, later than SQS and its DLQs expire messages.
///
/// ```no_run
/// # async fn example(config: &aws_config::SdkConfig) -> Result<(), Box<dyn std::error::Error>> {
/// use drumline_producer::{Outgoing, PayloadStore};
/// use drumline_runtime::payload::{PayloadPlace, PayloadSettings};
///
/// let bucket = Some(PayloadPlace::parse("payloads/orders/")?);
/// let store = PayloadStore::new(&PayloadSettings { bucket, ..PayloadSettings::default() }, config)?;
/// let body = format!(r#"{{"type":"report","payload":"{}"}}"#, "x".repeat(2_000_000));
/// let outgoing = store.offload(Outgoing { body, ..Outgoing::default() }).await?;
/// assert!(outgoing.attributes.contains_key("ExtendedPayloadSize"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct PayloadStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: PayloadSettings,
    s3: S3,
}

/// The reason why a large message cannot be compressed or offloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OffloadError {
    /// The message has no room for another attribute.
    NoRoom {
        /// The number of its attributes.
        attributes: usize,
    },
    /// The body has more bytes than a worker reads; or, compressed and without a bucket, the message has more bytes than SQS
    /// accepts.
    TooLarge {
        /// The size in bytes.
        bytes: usize,
        /// The largest allowed size.
        max_bytes: usize,
    },
    /// S3 has not accepted the object.
    NotPut {
        /// The object.
        pointer: PayloadPointer,
        /// The error text.
        reason: String,
    },
}

impl fmt::Display for OffloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom { attributes } => write!(
                f,
                "a large message has an attribute more than its own {attributes}, and {MAX_ATTRIBUTES} are the most: remove one"
            ),
            Self::TooLarge { bytes, max_bytes } => write!(
                f,
                "{bytes} bytes are more than {max_bytes}, which is what SQS takes without DRUMLINE_PAYLOAD_BUCKET, and what \
                 DRUMLINE_MAX_PAYLOAD_SIZE allows with it: put the data into S3 and send a reference"
            ),
            Self::NotPut { pointer, reason } => write!(f, "{pointer} cannot be written: {reason}"),
        }
    }
}

impl std::error::Error for OffloadError {}

impl PayloadStore {
    /// Creates a store with these settings, in the region and with the credentials of `config`. Without a bucket, bodies are
    /// only compressed.
    ///
    /// # Errors
    ///
    /// Returns an error text if no region is known, or if an AWS setting is invalid.
    pub fn new(settings: &PayloadSettings, config: &SdkConfig) -> Result<Self, String> {
        let s3 = S3::new(config, &Environment::of_process(), PATIENCE)?;
        Ok(Self(Arc::new(Inner { settings: settings.clone(), s3 })))
    }

    /// Returns true if the settings require such a store.
    pub fn is_wanted(settings: &PayloadSettings) -> bool {
        settings.bucket.is_some() || settings.compression.is_some()
    }

    /// Returns the largest body size in bytes that the store accepts.
    pub(crate) fn max_bytes(&self) -> usize {
        self.0.settings.max_bytes
    }

    /// Returns true if a message is above the threshold.
    pub(crate) fn is_large(&self, outgoing: &Outgoing) -> bool {
        outgoing.bytes() > self.0.settings.threshold
    }

    /// Compresses or offloads a message if it is above the threshold; any other message is returned unchanged.
    ///
    /// # Errors
    ///
    /// Returns an error if the message has no room for an attribute, if its body is larger than a worker reads, or if S3 does
    /// not accept it.
    pub async fn offload(&self, outgoing: Outgoing) -> Result<Outgoing, OffloadError> {
        let Inner { settings, .. } = &*self.0;
        if !self.is_large(&outgoing) {
            return Ok(outgoing);
        }
        let (bytes, max_bytes) = (outgoing.body.len(), settings.max_bytes);
        if bytes > max_bytes {
            return Err(OffloadError::TooLarge { bytes, max_bytes });
        }
        let outgoing = self.compressed(outgoing)?;
        match &settings.bucket {
            Some(place) if outgoing.bytes() > settings.threshold => self.put(place, outgoing).await,
            None if outgoing.bytes() > MAX_MESSAGE_BYTES => {
                Err(OffloadError::TooLarge { bytes: outgoing.bytes(), max_bytes: MAX_MESSAGE_BYTES })
            }
            _ => Ok(outgoing),
        }
    }

    /// Compresses the body if that is enabled and makes it shorter. A body that its producer has already encoded stays
    /// unchanged.
    fn compressed(&self, outgoing: Outgoing) -> Result<Outgoing, OffloadError> {
        let Some(encoding) = self.0.settings.compression else { return Ok(outgoing) };
        if outgoing.attributes.contains_key(CONTENT_ENCODING_ATTRIBUTE) {
            return Ok(outgoing);
        }
        let body = compress(encoding, &outgoing.body);
        if body.len() >= outgoing.body.len() {
            return Ok(outgoing);
        }
        with_attribute(Outgoing { body, ..outgoing }, CONTENT_ENCODING_ATTRIBUTE, encoding.label().into())
    }

    async fn put(&self, place: &PayloadPlace, outgoing: Outgoing) -> Result<Outgoing, OffloadError> {
        let size = payload_size_attribute(outgoing.body.len());
        let mut outgoing = with_attribute(outgoing, PAYLOAD_SIZE_ATTRIBUTE, size)?;
        let key = format!("{}{}", place.prefix, Ulid::generate());
        let pointer = PayloadPointer { bucket: place.bucket.clone(), key };
        let body = std::mem::replace(&mut outgoing.body, pointer.to_body());
        let request = S3Request {
            method: Method::PUT,
            bucket: &pointer.bucket,
            path: &object_path(&pointer.key),
            headers: &[CONTENT_TYPE],
            body: Bytes::from(body),
            max_bytes: 0,
        };
        match self.0.s3.send(&request).await {
            Ok(_) => Ok(outgoing),
            Err(error) => Err(OffloadError::NotPut { pointer, reason: error.to_string() }),
        }
    }
}

fn with_attribute(
    mut outgoing: Outgoing,
    name: &str,
    attribute: Attribute,
) -> Result<Outgoing, OffloadError> {
    let attributes = Arc::make_mut(&mut outgoing.attributes);
    if attributes.len() >= MAX_ATTRIBUTES && outgoing.trace_header.is_some() {
        // Workers know the trace by its header, too.
        attributes.remove(TRACEPARENT);
    }
    if attributes.len() >= MAX_ATTRIBUTES {
        return Err(OffloadError::NoRoom { attributes: attributes.len() });
    }
    attributes.insert(name.to_owned(), attribute);
    Ok(outgoing)
}

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
