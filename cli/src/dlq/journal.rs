//! The file of a journal: one writer, each commit a write and a sync.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_dlq::action::check_name;
use drumline_dlq::journal::{Header, Log, Permitted, State};
use tokio::task::JoinHandle;

use crate::file_lock::FileLock;
use crate::state_folder::{create_folder, state_folder, sync_folder};

/// The ending of journals' names.
const JOURNAL: &str = "journal";

/// The ending of the file of receipts beside a journal.
const HELD: &str = "held";

/// The journal of a running action.
pub(super) struct Journal {
    pub(super) path: PathBuf,
    pub(super) log: Log,
    file: Arc<File>,
    _lock: FileLock,
    /// The length up to the last commit.
    length: u64,
    /// A commit has failed. Nothing is written any more, since later lines would have to follow from those that are missing.
    is_broken: bool,
}

/// A commit on its way to the disk.
pub(super) struct Commit {
    bytes: u64,
    written: JoinHandle<io::Result<()>>,
}

impl Journal {
    /// Begins a journal in a new file.
    pub(super) fn create(path: &Path, header: Header) -> Result<Self, ExitError> {
        let path = std::path::absolute(path)?;
        if let Some(folder) = path.parent() {
            create_folder(folder).map_err(|error| unwritable(&path, &error))?;
        }
        let mut options = File::options();
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => ExitError::usage(format!(
                "{} is there already: --resume continues it, and --name names another action",
                path.display()
            )),
            _ => unwritable(&path, &error),
        })?;
        let lock = FileLock::acquire(&file, &path)?;
        if let Some(folder) = path.parent() {
            sync_folder(folder).map_err(|error| unwritable(&path, &error))?;
        }
        Ok(Self {
            path,
            log: Log::begin(header),
            file: Arc::new(file),
            _lock: lock,
            length: 0,
            is_broken: false,
        })
    }

    /// Opens a journal to continue it, with letters hidden for so long. The state is that of the process before.
    pub(super) fn open(path: &Path, hold: Duration) -> Result<(Self, State), ExitError> {
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => {
                ExitError::usage(format!("{} is not there: no such action was begun here", path.display()))
            }
            _ => ExitError::other(format!("{}: {error}", path.display())),
        };
        let file = File::options().read(true).append(true).open(path).map_err(unreadable)?;
        let lock = FileLock::acquire(&file, path)?;
        let (state, length) = State::read(BufReader::new(&file))
            .map_err(|corrupt| ExitError::usage(format!("{} is no journal: {corrupt}", path.display())))?;
        // Only if there is something to cut off: the time of the last change says when its process was alive.
        if file.metadata().map_err(unreadable)?.len() > length {
            file.set_len(length).map_err(|error| unwritable(path, &error))?;
        }
        // Letters that a killed process has hidden may stay so for its hold, also if this process is killed.
        let before = if state.is_over() { 0 } else { state.hold_secs() };
        let log = Log::resume(state.clone(), crate::format::now_ms(), before.max(hold.as_secs()));
        Ok((
            Self { path: path.to_owned(), log, file: Arc::new(file), _lock: lock, length, is_broken: false },
            state,
        ))
    }

    /// The file of receipts beside it.
    pub(super) fn held_path(&self) -> PathBuf {
        // Added to the whole name: other journals may have the same one but for its ending.
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{HELD}"));
        path.into()
    }

    /// Begins to write the lines so far.
    pub(super) fn begin_commit(&mut self) -> Commit {
        let lines = self.log.take_lines();
        let is_broken = self.is_broken;
        let (file, bytes) = (Arc::clone(&self.file), lines.len() as u64);
        let written = tokio::task::spawn_blocking(move || {
            if is_broken {
                return Err(io::Error::other("an earlier write has failed"));
            }
            if lines.is_empty() {
                return Ok(());
            }
            (&*file).write_all(lines.as_bytes())?;
            file.sync_data()
        });
        Commit { bytes, written }
    }

    /// Returns true if a commit has failed.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Ends a commit, and returns what may be done now.
    pub(super) fn end_commit(&mut self, bytes: u64, written: io::Result<()>) -> Result<Permitted, ExitError> {
        match written {
            Ok(()) => {
                self.length += bytes;
                Ok(self.log.synced())
            }
            Err(error) => {
                self.is_broken = true;
                // A part of a line may be there. A reader cuts it off, too.
                let _ = self.file.set_len(self.length);
                Err(unwritable(&self.path, &error))
            }
        }
    }

    /// Writes the lines so far, and returns what may be done now.
    pub(super) async fn commit(&mut self) -> Result<Permitted, ExitError> {
        let mut commit = self.begin_commit();
        let written = commit.written().await;
        self.end_commit(commit.bytes, written)
    }
}

impl Commit {
    /// The bytes that are written.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Waits until they are on disk. Cancel-safe.
    pub(super) async fn written(&mut self) -> io::Result<()> {
        match (&mut self.written).await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// Returns the path of the journal of the action with this name.
///
/// # Errors
/// If no folder is known for it, or the name is no name of a file.
pub(super) fn path_of(name: &str) -> Result<PathBuf, ExitError> {
    path_with(name, JOURNAL)
}

/// Returns the path of the action's file with this ending, in the folder of journals.
///
/// # Errors
/// As those of [`path_of`].
pub(super) fn path_with(name: &str, ending: &str) -> Result<PathBuf, ExitError> {
    check_name(name).map_err(ExitError::usage)?;
    Ok(folder()?.join(format!("{name}.{ending}")))
}

/// Returns the path of the journal that `--resume` names: by the action's name or by its path.
pub(super) fn path_to_resume(text: &str) -> Result<PathBuf, ExitError> {
    let is_path = text.contains(std::path::MAIN_SEPARATOR) || text.ends_with(&format!(".{JOURNAL}"));
    if is_path { Ok(PathBuf::from(text)) } else { path_of(text) }
}

/// Returns the folder of journals: `$XDG_STATE_HOME/drumline/dlq`, else that in `~/.local/state`.
pub(super) fn folder() -> Result<PathBuf, ExitError> {
    state_folder("dlq")
}

fn unwritable(path: &Path, error: &io::Error) -> ExitError {
    ExitError::other(format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
