//! Reads an S3 object piece by piece.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};
use drumline::Failure;

use super::objects::{Objects, broken_off, failure};
use super::version::Version;

/// The longest `ETag` that is kept, in bytes: S3's have about 34.
const MAX_ETAG_BYTES: usize = 256;

/// S3's error codes for an object that no longer has the requested version, or has become too short for the range.
const CHANGED_CODES: [&str; 2] = ["PreconditionFailed", "InvalidRange"];

/// An object that is being read. Every request after the first requires the same version with `If-Match`.
pub(crate) struct ObjectStream {
    client: Client,
    bucket: String,
    key: String,
    pub(super) version: Option<Version>,
    pub(super) size: Option<u64>,
    pub(super) position: u64,
    body: ByteStream,
    /// The number of bytes to skip at the beginning of the body.
    skip: usize,
    /// The part of the next piece that was already received.
    held: BytesMut,
    /// True if this connection has delivered a whole piece.
    fruitful: bool,
}

impl Objects {
    pub(super) async fn open(&self, bucket: &str, key: &str) -> Result<ObjectStream, Failure> {
        open(self.client().await?.clone(), bucket, key).await
    }

    pub(super) async fn reopen(
        &self,
        bucket: &str,
        key: &str,
        version: &Version,
        offset: u64,
    ) -> Result<Option<ObjectStream>, Failure> {
        reopen(self.client().await?.clone(), bucket, key, version, offset).await
    }
}

async fn open(client: Client, bucket: &str, key: &str) -> Result<ObjectStream, Failure> {
    let request = client.get_object().bucket(bucket).key(key);
    let object = request.send().await.map_err(|error| failure("read", &name(bucket, key), &error))?;
    let etag = object.e_tag().filter(|etag| etag.len() <= MAX_ETAG_BYTES);
    Ok(ObjectStream {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version: etag.map(|etag| Version(etag.to_owned())),
        size: object.content_length().and_then(|length| u64::try_from(length).ok()),
        position: 0,
        body: object.body,
        skip: 0,
        held: BytesMut::new(),
        fruitful: false,
        client,
    })
}

async fn reopen(
    client: Client,
    bucket: &str,
    key: &str,
    version: &Version,
    offset: u64,
) -> Result<Option<ObjectStream>, Failure> {
    let Some((object, skip, size)) = get_from(&client, bucket, key, version, offset).await? else {
        return Ok(None);
    };
    Ok(Some(ObjectStream {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version: Some(version.clone()),
        size: Some(size),
        position: offset,
        body: object.body,
        skip,
        held: BytesMut::new(),
        fruitful: false,
        client,
    }))
}

/// Returns the object from `offset` on, the number of bytes to skip, and the whole object's size; `None` if the object has
/// changed.
async fn get_from(
    client: &Client,
    bucket: &str,
    key: &str,
    version: &Version,
    offset: u64,
) -> Result<Option<(GetObjectOutput, usize, u64)>, Failure> {
    // One byte earlier, because a range that begins at an object's end is refused.
    let first = offset.saturating_sub(1);
    let request = client.get_object().bucket(bucket).key(key).range(format!("bytes={first}-"));
    let object = match request.if_match(&version.0).send().await {
        Ok(object) => object,
        Err(error) if error.code().is_some_and(|code| CHANGED_CODES.contains(&code)) => return Ok(None),
        Err(error) => return Err(failure("read", &name(bucket, key), &error)),
    };
    // If a store does not support ranges, the bytes are not the requested ones.
    let size = object.content_range().and_then(|range| {
        let (place, size) = range.split_once('/')?;
        place.strip_prefix("bytes ")?.strip_prefix(&first.to_string())?.strip_prefix('-')?;
        size.parse().ok()
    });
    Ok(size.map(|size| (object, usize::from(offset > first), size)))
}

impl ObjectStream {
    pub(super) async fn next(&mut self, bytes: usize) -> Result<Option<Bytes>, Failure> {
        while self.held.len() < bytes {
            match self.body.next().await {
                Some(Ok(part)) => {
                    let skip = self.skip.min(part.len());
                    self.skip -= skip;
                    self.position += (part.len() - skip) as u64;
                    self.held.extend_from_slice(&part[skip..]);
                }
                Some(Err(error)) => {
                    self.go_on(broken_off(&name(&self.bucket, &self.key), error)).await?;
                }
                None => break,
            }
        }
        self.fruitful |= self.held.len() >= bytes;
        let piece = self.held.split_to(bytes.min(self.held.len())).freeze();
        Ok((!piece.is_empty()).then_some(piece))
    }

    /// Continues after a broken connection, because reading for hours outlives a connection: requests the rest of the object.
    /// If a connection did not deliver even one piece, the problem is another one, and so it is if a body fails after all its
    /// bytes: that is a checksum error.
    async fn go_on(&mut self, trouble: Failure) -> Result<(), Failure> {
        let all_there = self.size.is_none_or(|size| self.position >= size);
        let Some(version) = self.version.as_ref().filter(|_| self.fruitful && !all_there) else {
            return Err(trouble);
        };
        tracing::debug!(reason = %trouble, position = self.position, "an object is read on by another connection");
        let again = get_from(&self.client, &self.bucket, &self.key, version, self.position).await?;
        let Some((object, skip, _)) = again else {
            let what = name(&self.bucket, &self.key);
            return Err(Failure::retry(format_args!("{what} was changed while it was read")));
        };
        (self.body, self.skip, self.fruitful) = (object.body, skip, false);
        Ok(())
    }
}

fn name(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

#[cfg(test)]
#[path = "object_stream_tests.rs"]
mod tests;
