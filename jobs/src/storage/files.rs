//! Files below one folder. Neither `..` nor a symbolic link leads out of it: paths are resolved one part at a time below the
//! opened folder, so swapping a link meanwhile does not help either.

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, Metadata};
use drumline::Failure;

use super::atomic;
use super::too_large::too_large;
use crate::settings::FILE_ROOT;

/// The folder that must contain a job's files.
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
        // The file may have grown since its size was read.
        file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(|error| failure("read", path, &error))?;
        if bytes.len() as u64 > max_bytes {
            return Err(too_large(path.display(), max_bytes));
        }
        Ok(bytes)
    }

    /// Opens a file to read, and returns it with its metadata.
    pub(super) fn open_file(&self, path: &Path) -> Result<(File, Metadata), Failure> {
        let failed = |error: io::Error| failure("read", path, &error);
        let (root, inside) = self.open(path)?;
        // Opening a pipe would wait forever for a writer.
        if !root.metadata(&inside).map_err(failed)?.is_file() {
            return Err(Failure::reject(format_args!("{} is not a file", path.display())));
        }
        let file = root.open(&inside).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        Ok((file, found))
    }

    /// Writes a file atomically, and creates its parent folders.
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

    /// Opens the root folder, and returns it with the path inside it.
    fn open(&self, path: &Path) -> Result<(Dir, PathBuf), Failure> {
        // A missing or unreadable root is a volume that is not mounted yet: this is transient, and not the job's fault. The
        // root is not created, because the volume would hide files below an empty mount point.
        let unusable = |error: io::Error| {
            let what_to_do = if error.kind() == ErrorKind::NotFound {
                "; make the folder or mount it, or set another one"
            } else {
                ""
            };
            let root = self.root.display();
            Failure::retry(format_args!("{FILE_ROOT} {root} is not usable: {error}{what_to_do}"))
        };
        // A producer may name a file by the root's own path, or by the path without links.
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

/// Converts a file error for the job: a path that leads nowhere fails permanently, all other errors are retried. This includes
/// a full disk and denied access, because permissions can be fixed without sending the job again.
pub(super) fn failure(action: &str, path: &Path, error: &io::Error) -> Failure {
    if leads_outside(error) {
        return outside(path);
    }
    let reason = format!("cannot {action} {}: {error}", path.display());
    match error.kind() {
        // The last one: a part of the path is not a folder, or is a link out of the root.
        ErrorKind::NotFound
        | ErrorKind::IsADirectory
        | ErrorKind::NotADirectory
        | ErrorKind::InvalidFilename
        | ErrorKind::AlreadyExists => Failure::reject(reason),
        _ => Failure::retry(reason),
    }
}

/// Returns true if a path leaves the root. The library refuses such a path, so the error contains no system error.
fn leads_outside(error: &io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
