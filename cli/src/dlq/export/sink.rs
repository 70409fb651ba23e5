//! The place that an export is written to.

use std::io::Write;
use std::path::Path;

use drumline_consumer::ExitError;
use drumline_dlq::line::Header;
use serde::Serialize;

use super::file::ExportFile;
use super::s3::Objects;
use crate::dlq::queue::DeadLetterQueue;
use crate::dlq::s3::is_s3;
use crate::format::note;
use crate::output::print;

/// The place that an export is written to.
pub(in crate::dlq) enum Sink {
    File(ExportFile),
    /// Objects of S3.
    Objects(Box<Objects>),
    /// Standard output.
    Stdout,
    /// None: letters are only counted.
    Nothing,
}

/// Letters that are written to disk at once: a sync takes milliseconds.
const COMMIT_LETTERS: usize = 200;

/// Letters of one object of S3, at the most: receipts of letters that are to be deleted are in memory until it is written.
const OBJECT_LETTERS: usize = 10_000;

/// Bytes that are written to disk at once.
const COMMIT_BYTES: usize = 8 << 20;

impl Sink {
    /// Begins an export in a new file, or in S3.
    pub(in crate::dlq) fn open(
        target: &str,
        header: &Header,
        queue: &DeadLetterQueue,
    ) -> Result<Self, ExitError> {
        if is_s3(target) {
            return Ok(Self::Objects(Box::new(Objects::open(target, header, &queue.clients.config)?)));
        }
        ExportFile::create(Path::new(target), header).map(Self::File)
    }

    /// The same for an export by which letters are deleted: what is written there has to stay.
    pub(in crate::dlq) fn open_for_deletion(
        target: &str,
        header: &Header,
        queue: &DeadLetterQueue,
    ) -> Result<Self, ExitError> {
        if is_s3(target) {
            return Self::open(target, header, queue);
        }
        ExportFile::create_for_deletion(Path::new(target), header).map(Self::File)
    }

    /// Adds a line. A file has it after the next commit.
    pub(super) fn append(&mut self, value: &impl Serialize) -> Result<(), ExitError> {
        match self {
            Self::File(file) => file.append(value),
            Self::Objects(objects) => objects.append(value),
            Self::Stdout => print(|out| out.json_line(value)),
            Self::Nothing => Ok(()),
        }
    }

    /// Returns true if a commit is due after so many letters.
    pub(super) fn is_due(&self, uncommitted: usize) -> bool {
        match self {
            Self::File(file) => uncommitted >= COMMIT_LETTERS || file.pending() >= COMMIT_BYTES,
            Self::Objects(objects) => uncommitted >= OBJECT_LETTERS || objects.is_due(),
            Self::Stdout | Self::Nothing => uncommitted >= COMMIT_LETTERS,
        }
    }

    /// Writes the lines so far, and waits until they are on disk.
    pub(super) async fn commit(&mut self) -> Result<(), ExitError> {
        match self {
            Self::File(file) => file.commit(),
            Self::Objects(objects) => objects.commit().await,
            Self::Stdout => print(Write::flush),
            Self::Nothing => Ok(()),
        }
    }

    /// The place, if what is written there stays, and the bytes that are written.
    pub(in crate::dlq) fn place(&self) -> Option<(String, u64)> {
        match self {
            Self::File(file) => Some((file.path.display().to_string(), file.length())),
            Self::Objects(objects) => Some((objects.place(), objects.bytes())),
            Self::Stdout | Self::Nothing => None,
        }
    }

    /// Returns the command that deletes letters which are written and were not deleted, as the end of a sentence.
    pub(super) fn remedy(&self) -> String {
        match self {
            Self::File(_) => ": the same command with --resume deletes them".to_owned(),
            Self::Objects(objects) => {
                format!(": the same command with {} and --resume deletes them", objects.place())
            }
            Self::Stdout | Self::Nothing => String::new(),
        }
    }

    /// Removes what was written, as nothing was deleted. Objects of S3 stay: to remove them is a permission that nothing else needs.
    pub(in crate::dlq) fn remove(self) {
        match self {
            Self::File(file) => file.remove(),
            Self::Objects(objects) if objects.bytes() > 0 => {
                note(&format!("what was exported stays in {}", objects.place()));
            }
            Self::Objects(_) | Self::Stdout | Self::Nothing => {}
        }
    }
}
