//! The file of a journal. It has one writer, and each commit is a write and a sync.

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

/// The file extension of journals.
const JOURNAL: &str = "journal";

/// The file extension of the receipts beside a journal.
const HELD: &str = "held";

/// The journal of a running action.
pub(super) struct Journal {
    pub(super) path: PathBuf,
    pub(super) log: Log,
    file: Arc<File>,
    _lock: FileLock,
    /// The length up to the last commit.
    length: u64,
    /// True if a commit has failed. Nothing more is written, because later lines would depend on the missing ones.
    is_broken: bool,
}

/// A commit that is being written.
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

    /// Opens a journal to continue it. Letters will be hidden for `hold`. Returns the state that the earlier process left.
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
        // Only if there is something to cut off: the time of the last change shows when its process was alive.
        if file.metadata().map_err(unreadable)?.len() > length {
            file.set_len(length).map_err(|error| unwritable(path, &error))?;
        }
        // Letters that a killed process has hidden may stay hidden for its hold, even if this process is killed, too.
        let before = if state.is_over() { 0 } else { state.hold_secs() };
        let log = Log::resume(state.clone(), crate::format::now_ms(), before.max(hold.as_secs()));
        Ok((
            Self { path: path.to_owned(), log, file: Arc::new(file), _lock: lock, length, is_broken: false },
            state,
        ))
    }

    /// Returns the path of the receipts' file beside the journal.
    pub(super) fn held_path(&self) -> PathBuf {
        // The extension is added to the whole name, because another journal may differ only in its extension.
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{HELD}"));
        path.into()
    }

    /// Begins to write the pending lines.
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

    /// Ends a commit, and returns the operations that are now permitted.
    pub(super) fn end_commit(&mut self, bytes: u64, written: io::Result<()>) -> Result<Permitted, ExitError> {
        match written {
            Ok(()) => {
                self.length += bytes;
                Ok(self.log.synced())
            }
            Err(error) => {
                self.is_broken = true;
                // A part of a line may remain. A reader cuts it off, too.
                let _ = self.file.set_len(self.length);
                Err(unwritable(&self.path, &error))
            }
        }
    }

    /// Writes the pending lines, and returns the operations that are now permitted.
    pub(super) async fn commit(&mut self) -> Result<Permitted, ExitError> {
        let mut commit = self.begin_commit();
        let written = commit.written().await;
        self.end_commit(commit.bytes, written)
    }
}

impl Commit {
    /// Returns the number of bytes written.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Waits until the commit is on disk. Cancel-safe.
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
///
/// Returns an error if the folder is not known, or if the name is not a valid file name.
pub(super) fn path_of(name: &str) -> Result<PathBuf, ExitError> {
    path_with(name, JOURNAL)
}

/// Returns the path of the action's file with this extension in the folder of journals.
///
/// # Errors
///
/// Returns the errors of [`path_of`].
pub(super) fn path_with(name: &str, ending: &str) -> Result<PathBuf, ExitError> {
    check_name(name).map_err(ExitError::usage)?;
    Ok(folder()?.join(format!("{name}.{ending}")))
}

/// Returns the path of the journal that `--resume` names by the action's name or by its path.
pub(super) fn path_to_resume(text: &str) -> Result<PathBuf, ExitError> {
    let is_path = text.contains(std::path::MAIN_SEPARATOR) || text.ends_with(&format!(".{JOURNAL}"));
    if is_path { Ok(PathBuf::from(text)) } else { path_of(text) }
}

/// Returns the folder of journals: `$XDG_STATE_HOME/drumline/dlq`, otherwise the same folder in `~/.local/state`.
pub(super) fn folder() -> Result<PathBuf, ExitError> {
    state_folder("dlq")
}

fn unwritable(path: &Path, error: &io::Error) -> ExitError {
    ExitError::other(format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
