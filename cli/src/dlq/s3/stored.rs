//! Reads an export in S3 object by object; only one object is in memory at a time.

use std::io::Cursor;

use aws_config::SdkConfig;
use bytes::Bytes;
use drumline_consumer::ExitError;
use drumline_dlq::line::{Exported, Header, Lines, ReadError};

use super::bucket::Bucket;
use super::listing::object_key;

/// The lines of an object.
type ObjectLines = Lines<Cursor<Bytes>>;

/// An export in S3.
pub(in crate::dlq) struct StoredExport {
    pub(in crate::dlq) bucket: Bucket,
    /// The prefix of its objects' keys, with a slash at its end.
    pub(in crate::dlq) folder: String,
    pub(in crate::dlq) header: Header,
    /// The sizes of its objects.
    sizes: Vec<usize>,
    /// The number of the object that is being read, from 1, and its lines.
    object: usize,
    lines: ObjectLines,
    /// The number of lines in the objects before it, plus those that were read from it.
    lines_before: u64,
    lines_read: u64,
}

impl StoredExport {
    /// Opens the export at `s3://BUCKET/PREFIX/NAME`.
    ///
    /// # Errors
    ///
    /// Returns an error if there is none, or if it cannot be read.
    pub(in crate::dlq) async fn open(place: &str, config: &SdkConfig) -> Result<Self, ExitError> {
        let (bucket, folder) = Bucket::open(place, config)?;
        let sizes = bucket.list(&folder).await?;
        let Some(size) = sizes.first() else {
            return Err(ExitError::usage(format!(
                "there is no export at {}: name the place that `dlq actions show NAME` shows",
                bucket.place(&folder)
            )));
        };
        let (header, lines) = read(&bucket, &object_key(&folder, 1), *size).await?;
        Ok(Self { bucket, folder, header, sizes, object: 1, lines, lines_before: 0, lines_read: 1 })
    }

    /// Returns the place of its objects.
    pub(in crate::dlq) fn place(&self) -> String {
        self.bucket.place(&self.folder)
    }

    /// Returns the number of its objects.
    pub(in crate::dlq) fn objects(&self) -> usize {
        self.sizes.len()
    }

    /// Returns the total size of its objects in bytes.
    pub(in crate::dlq) fn bytes(&self) -> u64 {
        self.sizes.iter().map(|size| *size as u64).sum()
    }

    /// Returns the next letter, with the number of its line as if the objects were one file.
    pub(in crate::dlq) async fn next(&mut self) -> Result<Option<Exported>, ExitError> {
        loop {
            if let Some(exported) = self.lines.next() {
                let key = object_key(&self.folder, self.object);
                let mut exported = exported.map_err(|error| unreadable(&self.bucket, &key, &error))?;
                self.lines_read = exported.line;
                exported.line += self.lines_before;
                return Ok(Some(exported));
            }
            let Some(size) = self.sizes.get(self.object) else { return Ok(None) };
            self.object += 1;
            let key = object_key(&self.folder, self.object);
            let (header, lines) = read(&self.bucket, &key, *size).await?;
            if (&header.name, &header.dlq, &header.dlq_arn)
                != (&self.header.name, &self.header.dlq, &self.header.dlq_arn)
            {
                let place = self.bucket.place(&key);
                return Err(ExitError::usage(format!(
                    "{place} is of the export {}, not of {}",
                    header.name, self.header.name
                )));
            }
            self.lines_before += std::mem::replace(&mut self.lines_read, 1);
            self.lines = lines;
        }
    }
}

async fn read(bucket: &Bucket, key: &str, size: usize) -> Result<(Header, ObjectLines), ExitError> {
    let content = bucket.get(key, size).await?;
    Lines::open(Cursor::new(content)).map_err(|error| unreadable(bucket, key, &error))
}

fn unreadable(bucket: &Bucket, key: &str, error: &ReadError) -> ExitError {
    ExitError::usage(format!("{}: {error}", bucket.place(key)))
}
