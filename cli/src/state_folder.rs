//! The folder in which commands keep what they need to continue: journals.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use drumline_consumer::ExitError;
use drumline_runtime::variable;

/// Returns a command's folder of states: `$XDG_STATE_HOME/drumline/COMMAND`, else that in `~/.local/state`.
///
/// # Errors
/// If neither is known.
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

/// Has the names of a folder's files survive a power cut, where the system needs that.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
