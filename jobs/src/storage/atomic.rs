//! Files that are there whole or not at all.

use std::ffi::OsStr;
use std::io::{self, Write};

use cap_std::fs::Dir;
use cap_tempfile::TempFile;

/// Writes `bytes` as `name` in `folder`, in place of what was there. Once this returns, the file survives a power cut.
/// A reader sees the old file or the new one, never a part; a failure leaves no trace.
pub(crate) fn write(folder: &Dir, name: &OsStr, bytes: &[u8]) -> io::Result<()> {
    let mut file = TempFile::new(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.replace(name)?;
    sync_folder(folder)
}

/// The rename itself has to reach the disk too. Elsewhere than on Unix a folder can't be opened as a file, and
/// renames are written through.
fn sync_folder(folder: &Dir) -> io::Result<()> {
    if cfg!(unix) { folder.open(".")?.sync_all() } else { Ok(()) }
}
