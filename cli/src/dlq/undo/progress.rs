//! The lines of an export that are in the DLQ again: in a file beside it, so that an undo that was killed goes on.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use drumline_consumer::ExitError;

use crate::dlq::journal;

/// The ending of the file's name.
const UNDONE: &str = "undone";

/// The lines that were sent. Each line of the file has the numbers of a batch; one without an end was not written whole.
pub(super) struct Progress {
    path: PathBuf,
    file: File,
    sent: HashSet<u64>,
}

impl Progress {
    /// Opens the file beside an export, and makes it if it is missing. Keeps other processes out.
    pub(super) fn open(export: &Path) -> Result<Self, ExitError> {
        let path = export.with_extension(UNDONE);
        let unusable = |error: std::io::Error| ExitError::other(format!("{}: {error}", path.display()));
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(unusable)?;
        journal::lock(&file, &path)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(unusable)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).map_err(unusable)?;
        file.seek(SeekFrom::End(0)).map_err(unusable)?;
        let sent = text[..whole].split_whitespace().map(str::parse).collect::<Result<_, _>>();
        let sent = sent.map_err(|_| ExitError::usage(format!("{} is no file of an undo", path.display())))?;
        Ok(Self { path, file, sent })
    }

    pub(super) fn was_sent(&self, line: u64) -> bool {
        self.sent.contains(&line)
    }

    /// Adds the lines of a batch, and waits until they are on disk.
    pub(super) fn add(&mut self, lines: &[u64]) -> Result<(), ExitError> {
        if lines.is_empty() {
            return Ok(());
        }
        let text: Vec<String> = lines.iter().map(u64::to_string).collect();
        let written = writeln!(self.file, "{}", text.join(" ")).and_then(|()| self.file.sync_data());
        written.map_err(|error| {
            ExitError::other(format!("{} cannot be written: {error}", self.path.display()))
        })?;
        self.sent.extend(lines);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_known_after_a_kill_and_a_torn_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let export = folder.path().join("INC-42.jsonl");
        let mut progress = Progress::open(&export).unwrap();
        progress.add(&[2, 3]).unwrap();
        progress.add(&[5]).unwrap();
        let second = Progress::open(&export).err().unwrap().to_string();
        assert!(second.contains("another process"), "{second}");
        drop(progress);
        let path = folder.path().join("INC-42.undone");
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"6 7").unwrap();
        let mut progress = Progress::open(&export).unwrap();
        let sent = |progress: &Progress| (1..9).filter(|line| progress.was_sent(*line)).collect::<Vec<_>>();
        assert_eq!(sent(&progress), [2, 3, 5]);
        progress.add(&[8]).unwrap();
        drop(progress);
        assert_eq!(sent(&Progress::open(&export).unwrap()), [2, 3, 5, 8]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "2 3\n5\n8\n");
    }
}
