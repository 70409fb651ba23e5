//! Reads sources and writes targets, in files and in S3.

pub(crate) mod atomic;
mod file_stream;
mod files;
#[cfg(feature = "s3")]
mod object_stream;
#[cfg(feature = "s3")]
mod objects;
#[cfg(not(feature = "s3"))]
#[path = "storage/without_s3.rs"]
mod objects;
mod stream;
mod too_large;
mod version;

use std::sync::Arc;

use bytes::Bytes;
use drumline::{Context, Failure};

use crate::location::Location;
use crate::settings::Settings;
use files::FileRoot;
use objects::Objects;
pub(crate) use stream::Stream;
pub(crate) use version::Version;

/// Files below one folder, and S3 objects.
pub(crate) struct Storage {
    files: Arc<FileRoot>,
    objects: Objects,
}

impl Storage {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { files: Arc::new(FileRoot::new(settings.file_root.clone())), objects: Objects::default() }
    }

    /// Reads a source if it has at most `max_bytes`.
    #[cfg_attr(not(feature = "images"), allow(dead_code, reason = "only images are read whole"))]
    pub(crate) async fn read(
        &self,
        ctx: &Context,
        from: &Location,
        max_bytes: u64,
    ) -> Result<Bytes, Failure> {
        match from {
            Location::File(path) => {
                let (files, path) = (Arc::clone(&self.files), path.clone());
                ctx.blocking(move || files.read(&path, max_bytes).map(Bytes::from)).await
            }
            Location::Object { bucket, key } => self.objects.read(bucket, key, max_bytes).await,
        }
    }

    /// Opens a source of any size, to read it piece by piece from its beginning.
    pub(crate) async fn open(&self, ctx: &Context, from: &Location) -> Result<Stream, Failure> {
        match from {
            Location::File(path) => file_stream::open(&self.files, ctx, path).await.map(Stream::File),
            Location::Object { bucket, key } => self.objects.open(bucket, key).await.map(Stream::Object),
        }
    }

    /// Opens a source at `offset` if it still has that version; otherwise returns `None`.
    pub(crate) async fn reopen(
        &self,
        ctx: &Context,
        from: &Location,
        version: &Version,
        offset: u64,
    ) -> Result<Option<Stream>, Failure> {
        Ok(match from {
            Location::File(path) => {
                file_stream::reopen(&self.files, ctx, path, version, offset).await?.map(Stream::File)
            }
            Location::Object { bucket, key } => {
                self.objects.reopen(bucket, key, version, offset).await?.map(Stream::Object)
            }
        })
    }

    /// Writes the whole target or nothing, and replaces an existing one.
    pub(crate) async fn write(
        &self,
        ctx: &Context,
        to: &Location,
        bytes: Vec<u8>,
        content_type: &'static str,
    ) -> Result<(), Failure> {
        match to {
            Location::File(path) => {
                let (files, path) = (Arc::clone(&self.files), path.clone());
                ctx.blocking(move || files.write(&path, &bytes)).await
            }
            Location::Object { bucket, key } => self.objects.write(bucket, key, bytes, content_type).await,
        }
    }
}
