//! The target of an export.

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

/// The target of an export.
pub(in crate::dlq) enum Sink {
    File(ExportFile),
    /// Objects in S3.
    Objects(Box<Objects>),
    /// Standard output.
    Stdout,
    /// No target: letters are only counted.
    Nothing,
}

/// The number of letters written with one sync: a sync takes milliseconds.
const COMMIT_LETTERS: usize = 200;

/// The largest number of letters in one S3 object: the receipts of letters to delete are in memory until the object is written.
const OBJECT_LETTERS: usize = 10_000;

/// The number of bytes written with one sync.
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

    /// Begins an export whose letters are deleted, so the written data must persist.
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

    /// Adds a line. It reaches the file with the next commit.
    pub(super) fn append(&mut self, value: &impl Serialize) -> Result<(), ExitError> {
        match self {
            Self::File(file) => file.append(value),
            Self::Objects(objects) => objects.append(value),
            Self::Stdout => print(|out| out.json_line(value)),
            Self::Nothing => Ok(()),
        }
    }

    /// Returns true if a commit is due after this many letters.
    pub(super) fn is_due(&self, uncommitted: usize) -> bool {
        match self {
            Self::File(file) => uncommitted >= COMMIT_LETTERS || file.pending() >= COMMIT_BYTES,
            Self::Objects(objects) => uncommitted >= OBJECT_LETTERS || objects.is_due(),
            Self::Stdout | Self::Nothing => uncommitted >= COMMIT_LETTERS,
        }
    }

    /// Writes the pending lines and waits until they are on disk.
    pub(super) async fn commit(&mut self) -> Result<(), ExitError> {
        match self {
            Self::File(file) => file.commit(),
            Self::Objects(objects) => objects.commit().await,
            Self::Stdout => print(Write::flush),
            Self::Nothing => Ok(()),
        }
    }

    /// Returns the place and the number of bytes written, if the data persists there.
    pub(in crate::dlq) fn place(&self) -> Option<(String, u64)> {
        match self {
            Self::File(file) => Some((file.path.display().to_string(), file.length())),
            Self::Objects(objects) => Some((objects.place(), objects.bytes())),
            Self::Stdout | Self::Nothing => None,
        }
    }

    /// Returns the command that deletes letters that are exported but not deleted, as the end of a sentence.
    pub(super) fn remedy(&self) -> String {
        match self {
            Self::File(_) => ": the same command with --resume deletes them".to_owned(),
            Self::Objects(objects) => {
                format!(": the same command with {} and --resume deletes them", objects.place())
            }
            Self::Stdout | Self::Nothing => String::new(),
        }
    }

    /// Removes the written data after nothing was deleted. S3 objects stay: removing them would need a permission that nothing
    /// else needs.
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
