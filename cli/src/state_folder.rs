//! The folder for state that commands need to resume: journals.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use drumline_consumer::ExitError;
use drumline_runtime::variable;

/// Returns a command's state folder: `$XDG_STATE_HOME/drumline/COMMAND`, otherwise the same folder in `~/.local/state`.
///
/// # Errors
///
/// Returns an error if neither variable is set.
pub(crate) fn state_folder(command: &str) -> Result<PathBuf, ExitError> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    let state = state.ok_or_else(|| {
        ExitError::usage("neither XDG_STATE_HOME nor HOME is set: name the journal by --journal")
    })?;
    Ok(state.join("drumline").join(command))
}

/// Creates a folder that only its owner can read.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Syncs the folder, so that the names of its files survive a power loss on systems that need this.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
