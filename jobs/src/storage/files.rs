//! Files, all below one folder. Neither `..` nor a symbolic link leads out of it: paths are resolved one part at a
//! time, beneath the opened folder, so that swapping a link in between does not help either.

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata};
use drumline::Failure;

use super::atomic;
use super::too_large::too_large;
use crate::settings::FILE_ROOT;

/// The folder that a job's files must lie below.
pub(crate) struct FileRoot {
    root: PathBuf,
}

impl FileRoot {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn read(&self, path: &Path, max_bytes: u64) -> Result<Vec<u8>, Failure> {
        let (file, found) = self.open_file(path)?;
        if found.len() > max_bytes {
            return Err(too_large(path.display(), max_bytes));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0));
        // It may have grown since it was measured.
        file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(|error| failure("read", path, &error))?;
        if bytes.len() as u64 > max_bytes {
            return Err(too_large(path.display(), max_bytes));
        }
        Ok(bytes)
    }

    /// A file to read, and what is known of it.
    pub(super) fn open_file(&self, path: &Path) -> Result<(File, Metadata), Failure> {
        let failed = |error: io::Error| failure("read", path, &error);
        let (root, inside) = self.open(path)?;
        // Opening a pipe would wait for its writer, for ever.
        if !root.metadata(&inside).map_err(failed)?.is_file() {
            return Err(Failure::reject(format_args!("{} is not a file", path.display())));
        }
        let file = root.open(&inside).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        Ok((file, found))
    }

    /// Writes a file atomically, and makes the folders above it.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let failed = |error: io::Error| failure("write", path, &error);
        let (root, inside) = self.open(path)?;
        let name = inside.file_name().ok_or_else(|| outside(path))?;
        let folder = match inside.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => {
                root.create_dir_all(parent).map_err(failed)?;
                root.open_dir(parent).map_err(failed)?
            }
            None => root,
        };
        atomic::write(&folder, name, bytes).map_err(failed)
    }

    /// The opened folder, and the path within it.
    fn open(&self, path: &Path) -> Result<(Dir, PathBuf), Failure> {
        // A missing or unreadable root is a volume not mounted yet: that passes, and no job is to blame. It is not made, since
        // what is written below an empty mount point would be hidden by the volume.
        let unusable = |error: io::Error| {
            let what_to_do = if error.kind() == ErrorKind::NotFound {
                "; make the folder or mount it, or set another one"
            } else {
                ""
            };
            let root = self.root.display();
            Failure::retry(format_args!("{FILE_ROOT} {root} is not usable: {error}{what_to_do}"))
        };
        // A producer may name a file by the root's own path or by the one that links lead to.
        let inside = if let Ok(inside) = path.strip_prefix(&self.root) {
            inside.to_owned()
        } else {
            let real = self.root.canonicalize().map_err(unusable)?;
            path.strip_prefix(real).map_err(|_| outside(path))?.to_owned()
        };
        let root = Dir::open_ambient_dir(&self.root, ambient_authority()).map_err(unusable)?;
        Ok((root, if inside.as_os_str().is_empty() { PathBuf::from(".") } else { inside }))
    }
}

fn outside(path: &Path) -> Failure {
    Failure::reject(format_args!("{} is not below {FILE_ROOT}", path.display()))
}

/// What a file error means for the job: a path that leads nowhere will not do so later, all else may pass. That goes
/// for a full disk, and for a denied access too, since permissions are mended without sending the job again.
pub(super) fn failure(action: &str, path: &Path, error: &io::Error) -> Failure {
    if leads_outside(error) {
        return outside(path);
    }
    let reason = format!("cannot {action} {}: {error}", path.display());
    match error.kind() {
        // The last: something that is no folder, or a link out of the root, where a folder is wanted.
        ErrorKind::NotFound
        | ErrorKind::IsADirectory
        | ErrorKind::NotADirectory
        | ErrorKind::InvalidFilename
        | ErrorKind::AlreadyExists => Failure::reject(reason),
        _ => Failure::retry(reason),
    }
}

/// A path that leaves the root is refused by the library, not by the system: there is no system error in it.
fn leads_outside(error: &io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
