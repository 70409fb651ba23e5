//! Atomic writes of files.

use std::ffi::OsStr;
use std::io::{self, Write};

use cap_std::fs::Dir;
use cap_tempfile::TempFile;

/// Writes `bytes` as `name` in `folder`, replacing an existing file. After this returns, the file survives a power loss. A
/// reader sees the old file or the new one, never a part; a failure leaves no trace.
pub(crate) fn write(folder: &Dir, name: &OsStr, bytes: &[u8]) -> io::Result<()> {
    let mut file = TempFile::new(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.replace(name)?;
    sync_folder(folder)
}

/// Syncs the folder, because the rename must reach the disk, too. On systems other than Unix a folder cannot be opened as a
/// file, and renames are written through.
fn sync_folder(folder: &Dir) -> io::Result<()> {
    if cfg!(unix) { folder.open(".")?.sync_all() } else { Ok(()) }
}
