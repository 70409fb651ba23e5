//! The lines of an export that are in the DLQ again, recorded in a file so that a killed undo can be resumed.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use drumline_consumer::ExitError;
use drumline_dlq::action::ActionRecord;

use crate::dlq::journal;
use crate::dlq::s3::is_s3;
use crate::file_lock::FileLock;

/// The file extension.
const UNDONE: &str = "undone";

/// The first word of the file.
const MARK: &str = "undo";

/// The lines that were sent. The first line of the file names the delete, each further line has the numbers of a batch; a line
/// without a line break is incomplete.
pub(super) struct Progress {
    path: PathBuf,
    file: File,
    _lock: FileLock,
    sent: HashSet<u64>,
}

impl Progress {
    /// Opens the file for the export of an action, and creates it if it is missing. A file of another action, whose export was
    /// at the same path, is replaced. The file is locked against other processes.
    pub(super) fn open(export: &str, undone: &ActionRecord) -> Result<Self, ExitError> {
        let path = path(export, undone)?;
        let mark = format!("{MARK} {} {}", undone.name, undone.started_at);
        let unusable = |error: std::io::Error| ExitError::other(format!("{}: {error}", path.display()));
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(unusable)?;
        let lock = FileLock::acquire(&file, &path)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(unusable)?;
        let foreign = || ExitError::usage(format!("{} is no file of an undo", path.display()));
        if !text.starts_with(MARK) && !MARK.starts_with(&text) {
            return Err(foreign());
        }
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let (first, lines) = text[..whole].split_once('\n').unwrap_or_default();
        let is_begun = first == mark;
        file.set_len(if is_begun { whole as u64 } else { 0 }).map_err(unusable)?;
        file.seek(SeekFrom::End(0)).map_err(unusable)?;
        let mut sent = HashSet::new();
        if is_begun {
            let numbers = lines.split_whitespace().map(str::parse).collect::<Result<_, _>>();
            sent = numbers.map_err(|_| foreign())?;
        } else {
            writeln!(file, "{mark}").map_err(unusable)?;
        }
        Ok(Self { path, file, _lock: lock, sent })
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

/// Returns the path of the file: beside the export, or in the folder of journals if the export is in S3.
fn path(export: &str, undone: &ActionRecord) -> Result<PathBuf, ExitError> {
    if !is_s3(export) {
        return Ok(PathBuf::from(format!("{export}.{UNDONE}")));
    }
    // Actions of other stores may have the same name.
    let path = journal::path_with(&undone.name, &format!("{}.{UNDONE}", undone.started_at))?;
    if let Some(folder) = path.parent() {
        let created = crate::state_folder::create_folder(folder);
        created
            .map_err(|error| ExitError::other(format!("{} cannot be created: {error}", folder.display())))?;
    }
    Ok(path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use drumline_dlq::action::{ActionKind, Beginning};

    use super::*;

    fn delete(name: &str, started_at: u64) -> ActionRecord {
        let beginning = Beginning {
            kind: ActionKind::Delete,
            name: name.to_owned(),
            actor: "ada@laptop".to_owned(),
            dlq: "arn:aws:sqs:eu-west-1:123456789012:jobs-dlq".to_owned(),
            words: Vec::new(),
            bounds: Vec::new(),
            host: None,
            journal: None,
            export: None,
        };
        ActionRecord::begun(beginning, started_at)
    }

    fn sent(progress: &Progress) -> Vec<u64> {
        (1..9).filter(|line| progress.was_sent(*line)).collect()
    }

    #[test]
    fn what_was_sent_is_known_after_a_kill_and_a_torn_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let export = folder.path().join("INC-42.jsonl").display().to_string();
        let delete = delete("INC-42", 7);
        let open = || Progress::open(&export, &delete);
        let mut progress = open().unwrap();
        progress.add(&[2, 3]).unwrap();
        progress.add(&[5]).unwrap();
        let second = open().err().unwrap().to_string();
        assert!(second.contains("another process"), "{second}");
        drop(progress);
        let path = folder.path().join("INC-42.jsonl.undone");
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"6 7").unwrap();
        let mut progress = open().unwrap();
        assert_eq!(sent(&progress), [2, 3, 5]);
        progress.add(&[8]).unwrap();
        drop(progress);
        assert_eq!(sent(&open().unwrap()), [2, 3, 5, 8]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "undo INC-42 7\n2 3\n5\n8\n");
    }

    #[test]
    fn lines_of_another_delete_with_the_same_path_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let export = folder.path().join("dead.jsonl").display().to_string();
        Progress::open(&export, &delete("A", 7)).unwrap().add(&[2, 3, 4]).unwrap();
        for other in [delete("B", 9), delete("A", 8)] {
            let mut progress = Progress::open(&export, &other).unwrap();
            assert!(sent(&progress).is_empty());
            progress.add(&[5]).unwrap();
            drop(progress);
            assert_eq!(sent(&Progress::open(&export, &other).unwrap()), [5]);
        }
        let path = folder.path().join("dead.jsonl.undone");
        std::fs::write(&path, "2 3 4").unwrap();
        let foreign = Progress::open(&export, &delete("A", 7)).err().unwrap().to_string();
        assert!(foreign.contains("is no file of an undo"), "{foreign}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "2 3 4", "it is left as it was");
    }
}
