//! Sources that are read piece by piece, and again from the middle.

use bytes::Bytes;
use drumline::{Context, Failure};

use super::file_stream::FileStream;
#[cfg(feature = "s3")]
use super::object_stream::ObjectStream;
#[cfg(not(feature = "s3"))]
use super::objects::ObjectStream;
use super::version::Version;

/// An opened source. All that is read from it is of one version.
pub(crate) enum Stream {
    File(FileStream),
    Object(ObjectStream),
}

impl Stream {
    /// The next piece, of `bytes` unless the source ends with it. `None` at the end.
    ///
    /// # Errors
    /// Retried, where the source cannot be read on, or was changed meanwhile.
    pub(crate) async fn next(&mut self, ctx: &Context, bytes: usize) -> Result<Option<Bytes>, Failure> {
        match self {
            Self::File(file) => file.next(ctx, bytes).await,
            Self::Object(object) => object.next(bytes).await,
        }
    }

    /// `None` where the source has nothing to be known again by.
    pub(crate) fn version(&self) -> Option<&Version> {
        match self {
            Self::File(file) => Some(&file.version),
            Self::Object(object) => object.version.as_ref(),
        }
    }

    /// The source's length in bytes, where it is known.
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Self::File(file) => Some(file.size),
            Self::Object(object) => object.size,
        }
    }

    /// How many of the source's bytes have been read, with those before where it was opened.
    pub(crate) fn position(&self) -> u64 {
        match self {
            Self::File(file) => file.position,
            Self::Object(object) => object.position,
        }
    }
}
