//! The replacement for the S3 client in builds without it: objects cannot be reached.

use std::convert::Infallible;

use bytes::Bytes;
use drumline::Failure;

use super::version::Version;

#[derive(Default)]
pub(crate) struct Objects {}

/// An object that is being read, which does not exist in this build.
pub(crate) struct ObjectStream {
    pub(super) version: Option<Version>,
    pub(super) size: Option<u64>,
    pub(super) position: u64,
    never: Infallible,
}

#[allow(clippy::unused_async, reason = "as the client of S3 has it")]
impl Objects {
    pub(crate) async fn read(&self, bucket: &str, key: &str, _max_bytes: u64) -> Result<Bytes, Failure> {
        Err(unreachable(bucket, key))
    }

    pub(crate) async fn write(
        &self,
        bucket: &str,
        key: &str,
        _bytes: Vec<u8>,
        _content_type: &'static str,
    ) -> Result<(), Failure> {
        Err(unreachable(bucket, key))
    }

    pub(super) async fn open(&self, bucket: &str, key: &str) -> Result<ObjectStream, Failure> {
        Err(unreachable(bucket, key))
    }

    pub(super) async fn reopen(
        &self,
        bucket: &str,
        key: &str,
        _version: &Version,
        _offset: u64,
    ) -> Result<Option<ObjectStream>, Failure> {
        Err(unreachable(bucket, key))
    }
}

#[allow(clippy::unused_async, reason = "as the objects of S3 have it")]
impl ObjectStream {
    pub(super) async fn next(&mut self, _bytes: usize) -> Result<Option<Bytes>, Failure> {
        match self.never {}
    }
}

/// Returns a retry, because another build of the worker may be deployed without sending the job again.
fn unreachable(bucket: &str, key: &str) -> Failure {
    Failure::retry(format_args!(
        "s3://{bucket}/{key} cannot be reached: this program is built without the feature `s3` of drumline-jobs"
    ))
}
