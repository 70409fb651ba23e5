//! A lock that reserves a file for one process.

use std::fs::{File, TryLockError};
use std::path::Path;

use drumline_consumer::ExitError;

/// An exclusive lock on a file, held until this value is dropped.
///
/// Dropping the file is not enough: a child process has a copy of every open file until it executes its program, and the system
/// keeps the lock until the last copy is closed. Therefore, this value unlocks the file explicitly.
pub(crate) struct FileLock(File);

impl FileLock {
    /// Locks a file.
    ///
    /// # Errors
    ///
    /// Returns an error if another process holds the lock, or the system refuses it.
    pub(crate) fn acquire(file: &File, path: &Path) -> Result<Self, ExitError> {
        let unusable =
            |error: std::io::Error| ExitError::other(format!("{} cannot be locked: {error}", path.display()));
        match file.try_lock() {
            Ok(()) => Ok(Self(file.try_clone().map_err(unusable)?)),
            Err(TryLockError::WouldBlock) => Err(ExitError::usage(format!(
                "{} is in use: another process runs this action",
                path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // If this fails, the lock ends with the process.
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_although_a_child_process_has_a_copy_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.journal");
        let open = || File::options().write(true).create(true).truncate(false).open(&path).unwrap();
        let file = open();
        let lock = FileLock::acquire(&file, &path).unwrap();
        let second = FileLock::acquire(&open(), &path).err().unwrap().to_string();
        assert!(second.contains("another process runs this action"), "{second}");
        let copy_of_a_child = file.try_clone().unwrap();
        drop((lock, file));
        FileLock::acquire(&open(), &path).unwrap();
        drop(copy_of_a_child);
    }
}
