//! An export to S3: objects of some megabytes. Each object is an export by itself, is written once, and never overwrites
//! another.

use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use bytes::Bytes;
use drumline_consumer::ExitError;
use drumline_dlq::line::Header;
use drumline_runtime::write_json;
use serde::Serialize;

use crate::dlq::s3::{Bucket, StoredExport, object_key};

/// An object is written when it has this many bytes,
const OBJECT_BYTES: usize = 8 << 20;

/// or when its first letter has waited this long. Letters to delete are held meanwhile.
const OBJECT_AGE: Duration = Duration::from_secs(60);

/// An export to S3.
pub(in crate::dlq) struct Objects {
    bucket: Bucket,
    /// The key prefix, with a slash at its end.
    folder: String,
    header: Header,
    lines: Vec<u8>,
    since: Option<Instant>,
    /// The number of objects, including those of earlier runs.
    written: usize,
    bytes: u64,
    is_resumed: bool,
}

impl Objects {
    /// Begins an export under `s3://BUCKET/PREFIX`; the name of the export is appended.
    pub(super) fn open(target: &str, header: &Header, config: &SdkConfig) -> Result<Self, ExitError> {
        let (bucket, prefix) = Bucket::open(target, config)?;
        Ok(Self {
            bucket,
            folder: format!("{prefix}{}/", header.name),
            header: header.clone(),
            lines: Vec::new(),
            since: None,
            written: 0,
            bytes: 0,
            is_resumed: false,
        })
    }

    /// Continues an export.
    pub(super) fn resume(stored: StoredExport) -> Self {
        let (written, bytes) = (stored.objects(), stored.bytes());
        let StoredExport { bucket, folder, header, .. } = stored;
        Self { bucket, folder, header, lines: Vec::new(), since: None, written, bytes, is_resumed: true }
    }

    /// Returns the place of the objects.
    pub(super) fn place(&self) -> String {
        self.bucket.place(&self.folder)
    }

    /// Returns the number of bytes written.
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

    /// Returns true if the next object is large enough or has waited long enough.
    pub(super) fn is_due(&self) -> bool {
        self.lines.len() >= OBJECT_BYTES || self.since.is_some_and(|since| since.elapsed() >= OBJECT_AGE)
    }

    /// Writes the pending object and waits until S3 confirms it.
    pub(super) async fn commit(&mut self) -> Result<(), ExitError> {
        if self.lines.is_empty() {
            return Ok(());
        }
        self.since = None;
        let body = Bytes::from(std::mem::take(&mut self.lines));
        let key = object_key(&self.folder, self.written + 1);
        if !self.bucket.put_new(&key, &body).await? {
            let why = if self.is_resumed {
                "another process continues this export"
            } else {
                "give the export another name by --name, or continue that one by --resume"
            };
            return Err(ExitError::usage(format!("{} is there already: {why}", self.bucket.place(&key))));
        }
        self.written += 1;
        self.bytes += body.len() as u64;
        Ok(())
    }
}
