//! Reads a file piece by piece.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use cap_std::fs::{File, Metadata};
use drumline::{Context, Failure};

use super::files::{FileRoot, failure};
use super::version::Version;

/// An open file. It stays the same file if another one replaces it by renaming.
pub(crate) struct FileStream {
    /// `None` while a piece is being read.
    file: Option<File>,
    path: PathBuf,
    pub(super) version: Version,
    pub(super) size: u64,
    pub(super) position: u64,
}

pub(super) async fn open(root: &Arc<FileRoot>, ctx: &Context, path: &Path) -> Result<FileStream, Failure> {
    let (root, path) = (Arc::clone(root), path.to_owned());
    ctx.blocking(move || {
        let (file, found) = root.open_file(&path)?;
        let version = version(&found).map_err(|error| failure("read", &path, &error))?;
        Ok(FileStream { file: Some(file), path, version, size: found.len(), position: 0 })
    })
    .await
}

pub(super) async fn reopen(
    root: &Arc<FileRoot>,
    ctx: &Context,
    path: &Path,
    wanted: &Version,
    offset: u64,
) -> Result<Option<FileStream>, Failure> {
    let mut stream = open(root, ctx, path).await?;
    if stream.version != *wanted || offset > stream.size {
        return Ok(None);
    }
    stream.position = offset;
    ctx.blocking(move || {
        let sought = stream.file.as_mut().map(|file| file.seek(SeekFrom::Start(offset)));
        sought.transpose().map_err(|error| failure("read", &stream.path, &error))?;
        Ok(Some(stream))
    })
    .await
}

impl FileStream {
    pub(super) async fn next(&mut self, ctx: &Context, bytes: usize) -> Result<Option<Bytes>, Failure> {
        let Some(mut file) = self.file.take() else {
            return Err(Failure::retry(format_args!("reading {} was given up", self.path.display())));
        };
        let (file, piece, now) = ctx
            .blocking(move || {
                let mut piece = Vec::with_capacity(bytes);
                (&mut file).take(bytes as u64).read_to_end(&mut piece)?;
                let now = version(&file.metadata()?)?;
                Ok((file, piece, now))
            })
            .await?;
        self.file = Some(file);
        if now != self.version {
            return Err(Failure::retry(format_args!(
                "{} was changed while it was read",
                self.path.display()
            )));
        }
        self.position += piece.len() as u64;
        Ok((!piece.is_empty()).then(|| Bytes::from(piece)))
    }
}

fn version(found: &Metadata) -> io::Result<Version> {
    // Files are not older than 1970; if the time says so anyway, only the length identifies the version.
    let modified = found.modified()?.into_std().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Ok(Version(format!("{}@{}.{:09}", found.len(), modified.as_secs(), modified.subsec_nanos())))
}

#[cfg(test)]
#[path = "file_stream_tests.rs"]
mod tests;
