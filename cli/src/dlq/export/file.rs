//! The file of an export. It has one writer and whole lines, and is synced before letters are deleted.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use drumline_consumer::ExitError;
use drumline_dlq::letter_id::LetterId;
use drumline_dlq::line::{Header, Lines, ReadError};
use drumline_runtime::write_json;
use serde::Serialize;

use crate::file_lock::FileLock;

/// A file to which an export is written.
pub(in crate::dlq) struct ExportFile {
    pub(in crate::dlq) path: PathBuf,
    file: File,
    _lock: Option<FileLock>,
    /// The length of the lines on disk.
    length: u64,
    lines: Vec<u8>,
    is_regular: bool,
}

/// The file of an export that is continued.
pub(super) struct Resumed {
    pub(super) file: ExportFile,
    pub(super) header: Header,
    /// The letters in it.
    pub(super) letters: HashSet<LetterId>,
}

impl ExportFile {
    /// Begins an export whose letters are deleted. It needs a new regular file, because data written to a device or a pipe may
    /// be lost.
    pub(in crate::dlq) fn create_for_deletion(path: &Path, header: &Header) -> Result<Self, ExitError> {
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            return Err(ExitError::usage(format!(
                "letters are deleted once they are in a file on disk, and {} is none",
                path.display()
            )));
        }
        Self::create(path, header)
    }

    /// Begins an export in a new file, or in a device or a pipe.
    pub(in crate::dlq) fn create(path: &Path, header: &Header) -> Result<Self, ExitError> {
        let path = std::path::absolute(path)?;
        let is_regular = path.metadata().map_or(true, |metadata| metadata.is_file());
        let mut options = File::options();
        options.write(true).create_new(is_regular);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => ExitError::usage(format!(
                "{} is there already: --resume continues an export, and a new one needs a new file",
                path.display()
            )),
            _ => unwritable(&path, &error),
        })?;
        let lock = is_regular.then(|| FileLock::acquire(&file, &path)).transpose()?;
        if is_regular {
            sync_folder(&path);
        }
        let mut export = Self { path, file, _lock: lock, length: 0, lines: Vec::new(), is_regular };
        // With a header on disk the export can be resumed.
        if let Err(error) = export.append(header).and_then(|()| export.commit()) {
            export.remove();
            return Err(error);
        }
        Ok(export)
    }

    /// Opens an export to continue it. An incomplete last line is cut off.
    pub(super) fn resume(path: &Path) -> Result<Resumed, ExitError> {
        let path = std::path::absolute(path)?;
        let file =
            File::options().read(true).write(true).open(&path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => {
                    ExitError::usage(format!("{} is not there: no export was begun in it", path.display()))
                }
                _ => unwritable(&path, &error),
            })?;
        let lock = FileLock::acquire(&file, &path)?;
        let foreign = |error: ReadError| match error {
            ReadError::Io(error) => ExitError::other(format!("{} cannot be read: {error}", path.display())),
            ReadError::Empty | ReadError::Torn { .. } => ExitError::usage(format!(
                "{} has no complete header: if it is of an export that was stopped as it began, remove it, and begin the export anew \
                 without --resume",
                path.display()
            )),
            error => ExitError::usage(format!("{} cannot be resumed: {error}", path.display())),
        };
        let (header, mut lines) = Lines::open(BufReader::new(&file)).map_err(foreign)?;
        let mut letters = HashSet::new();
        loop {
            match lines.next() {
                Some(Ok(letter)) => letters.insert(LetterId::of(&letter.message.id)),
                None | Some(Err(ReadError::Torn { .. })) => break,
                Some(Err(error)) => return Err(foreign(error)),
            };
        }
        let length = lines.bytes_read();
        drop(lines);
        let mut export = Self { path, file, _lock: Some(lock), length, lines: Vec::new(), is_regular: true };
        // Its letters count as exported only after a sync.
        export
            .file
            .set_len(length)
            .and_then(|()| export.file.sync_all())
            .map_err(|error| export.unwritable(&error))?;
        export.file.seek(SeekFrom::End(0))?;
        Ok(Resumed { file: export, header, letters })
    }

    /// Adds a line, which [`commit`](Self::commit) writes.
    pub(super) fn append(&mut self, value: &impl Serialize) -> Result<(), ExitError> {
        write_json(&mut self.lines, value).map_err(io::Error::from)?;
        self.lines.push(b'\n');
        Ok(())
    }

    /// Returns the number of bytes that are not written yet.
    pub(super) fn pending(&self) -> usize {
        self.lines.len()
    }

    /// Writes the pending lines and waits until they are on disk.
    pub(super) fn commit(&mut self) -> Result<(), ExitError> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(&self.lines);
        let written = if self.is_regular { written.and_then(|()| self.file.sync_data()) } else { written };
        if let Err(error) = written {
            self.lines.clear();
            if self.is_regular {
                // A part of a line may remain. A resumed export cuts it off, too.
                let _ = self.file.set_len(self.length);
                let _ = self.file.seek(SeekFrom::Start(self.length));
            }
            return Err(self.unwritable(&error));
        }
        self.length += self.lines.len() as u64;
        self.lines.clear();
        Ok(())
    }

    /// Returns the number of bytes written.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Removes the file.
    pub(in crate::dlq) fn remove(self) {
        if self.is_regular {
            // An export that is no longer needed does no harm.
            let _ = std::fs::remove_file(&self.path);
        }
    }

    fn unwritable(&self, error: &io::Error) -> ExitError {
        unwritable(&self.path, error)
    }
}

fn unwritable(path: &Path, error: &io::Error) -> ExitError {
    ExitError::other(format!("{} cannot be written: {error}", path.display()))
}

/// Syncs the folder's entry of a new file, so that it survives a power loss. Some file systems cannot sync folders; there the
/// system decides when the entry reaches the disk.
fn sync_folder(path: &Path) {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
