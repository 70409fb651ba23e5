//! Sources that are read piece by piece, and can be reopened in the middle.

use bytes::Bytes;
use drumline::{Context, Failure};

use super::file_stream::FileStream;
#[cfg(feature = "s3")]
use super::object_stream::ObjectStream;
#[cfg(not(feature = "s3"))]
use super::objects::ObjectStream;
use super::version::Version;

/// An open source. All data read from it has one version.
pub(crate) enum Stream {
    File(FileStream),
    Object(ObjectStream),
}

impl Stream {
    /// Returns the next piece, with `bytes` bytes unless the source ends earlier. Returns `None` at the end.
    ///
    /// # Errors
    ///
    /// Retries the job if the rest of the source cannot be read, or if the source has changed meanwhile.
    pub(crate) async fn next(&mut self, ctx: &Context, bytes: usize) -> Result<Option<Bytes>, Failure> {
        match self {
            Self::File(file) => file.next(ctx, bytes).await,
            Self::Object(object) => object.next(bytes).await,
        }
    }

    /// Returns the version; `None` if the source has no property that identifies it.
    pub(crate) fn version(&self) -> Option<&Version> {
        match self {
            Self::File(file) => Some(&file.version),
            Self::Object(object) => object.version.as_ref(),
        }
    }

    /// Returns the source's length in bytes, if it is known.
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Self::File(file) => Some(file.size),
            Self::Object(object) => object.size,
        }
    }

    /// Returns the position in the source, including the bytes before the offset at which it was opened.
    pub(crate) fn position(&self) -> u64 {
        match self {
            Self::File(file) => file.position,
            Self::Object(object) => object.position,
        }
    }
}
