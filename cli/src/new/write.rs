//! Writes a service's files into a new or empty folder.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use drumline_consumer::ExitError;

/// Writes files by their paths in `folder`, which is created if it does not exist.
///
/// # Errors
///
/// Returns an error if the folder is not empty, or a file cannot be written. No file is ever overwritten.
pub(super) fn write(folder: &Path, files: &[(&str, String)]) -> Result<(), ExitError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(ExitError::usage(format!(
                    "the folder {} holds something already, and nothing is overwritten: take another name, or move it away",
                    folder.display()
                )));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(ExitError::usage(format!(
                "{} cannot become the service's folder: {error}",
                folder.display()
            )));
        }
    }
    for (path, text) in files {
        let path = folder.join(path);
        write_one(&path, text).map_err(|error| {
            ExitError::other(format!("the file {} cannot be written: {error}", path.display()))
        })?;
    }
    Ok(())
}

fn write_one(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    File::create_new(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn files_are_written_where_nothing_is() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("orders");
        let files =
            [("Cargo.toml", "[package]".to_owned()), ("src/bin/worker.rs", "fn main() {}".to_owned())];
        write(&folder, &files).unwrap();
        for (path, text) in &files {
            assert_eq!(fs::read_to_string(folder.join(path)).unwrap(), *text);
        }
        let error = write(&folder, &files).unwrap_err().to_string();
        assert!(error.contains("holds something already"), "{error}");
    }

    #[test]
    fn an_empty_folder_will_do_and_a_file_will_not() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &[("a", String::new())]).unwrap();
        let error = write(&root.path().join("a"), &[]).unwrap_err().to_string();
        assert!(error.contains("cannot become the service's folder"), "{error}");
    }

    #[test]
    fn no_file_is_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let error = write(root.path(), &[("a", "first".to_owned()), ("a", "second".to_owned())]).unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
        assert_eq!(fs::read_to_string(root.path().join("a")).unwrap(), "first");
    }
}
