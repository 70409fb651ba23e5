//! Documents in files on this machine, for actions whose store other processes cannot read.
//!
//! Each document is a file in the folder of its kind. A change replaces the file while the folder is locked.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use drumline_store::{Document, MAX_DOCUMENTS};

use crate::state_folder::create_folder;

/// The documents of a folder. The folder is made with the first document.
#[derive(Debug, Clone)]
pub(super) struct ActionFiles {
    folder: PathBuf,
}

impl ActionFiles {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Returns the folder of all documents.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn get(&self, kind: &str, name: &str) -> io::Result<Option<String>> {
        match fs::read_to_string(self.path(kind, name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the documents of a kind, most recently changed first.
    pub(super) fn list(&self, kind: &str) -> io::Result<Vec<Document>> {
        let mut documents = Vec::new();
        for (_, path) in self.files(kind)? {
            let Some(name) = path.file_name().and_then(|name| decode(name.to_str()?)) else { continue };
            if let Some(text) = self.get(kind, &name)? {
                documents.push(Document { name, text });
            }
        }
        Ok(documents)
    }

    /// Writes a document like [`Store::put_document`](drumline_store::Store::put_document).
    pub(super) fn put(&self, kind: &str, name: &str, before: Option<&str>, after: &str) -> io::Result<bool> {
        let folder = self.folder.join(kind);
        create_folder(&folder)?;
        let lock = private().create(true).truncate(false).open(self.folder.join("lock"))?;
        lock.lock()?;
        let current = self.get(kind, name)?;
        if current.as_deref() != before && current.as_deref() != Some(after) {
            return Ok(false);
        }
        let path = self.path(kind, name);
        // A process that is killed leaves either the old text or the new text.
        let new = folder.join(".new");
        let mut file = private().create(true).truncate(true).open(&new)?;
        file.write_all(after.as_bytes())?;
        file.sync_data()?;
        fs::rename(&new, &path)?;
        for (_, surplus) in self.files(kind)?.into_iter().skip(MAX_DOCUMENTS) {
            fs::remove_file(surplus)?;
        }
        drop(lock);
        Ok(true)
    }

    /// Returns the files of a kind with their modification times, newest first.
    fn files(&self, kind: &str) -> io::Result<Vec<(std::time::SystemTime, PathBuf)>> {
        let entries = match fs::read_dir(self.folder.join(kind)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                files.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        files.sort_by(|a, b| b.cmp(a));
        Ok(files)
    }

    fn path(&self, kind: &str, name: &str) -> PathBuf {
        self.folder.join(kind).join(encode(name))
    }
}

/// Returns options that open a file for writing, readable by its owner only.
fn private() -> fs::OpenOptions {
    let mut options = File::options();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Encodes a name as a file name: characters other than letters, digits, hyphens and underscores become `%` and two hexadecimal
/// digits for each byte.
fn encode(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02x}");
        }
    }
    text
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(match byte {
            b'%' => digit(rest.next()?)? * 16 + digit(rest.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_document_changes_only_for_those_who_have_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let files = ActionFiles::new(folder.path().join("state"));
        let arn = "arn:aws:sqs:eu-west-1:123456789012:ö/%.jobs";
        assert_eq!((files.get("locks", arn).unwrap(), files.list("locks").unwrap()), (None, vec![]));
        assert!(!files.put("locks", arn, Some("0"), "1").unwrap());
        assert!(files.put("locks", arn, None, "1").unwrap());
        assert!(!files.put("locks", arn, None, "2").unwrap());
        assert!(files.put("locks", arn, Some("1"), "2").unwrap());
        assert!(files.put("locks", arn, Some("1"), "2").unwrap(), "the same once more");
        let expected = vec![Document { name: arn.to_owned(), text: "2".to_owned() }];
        assert_eq!((files.list("locks").unwrap(), files.list("other").unwrap()), (expected, vec![]));
    }

    #[test]
    fn the_documents_that_changed_longest_ago_give_way() {
        let folder = tempfile::tempdir().unwrap();
        let files = ActionFiles::new(folder.path().to_owned());
        for index in 0..MAX_DOCUMENTS + 3 {
            assert!(files.put("actions", &index.to_string(), None, "").unwrap());
        }
        assert_eq!(files.list("actions").unwrap().len(), MAX_DOCUMENTS);
    }

    #[cfg(unix)]
    #[test]
    fn files_are_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let files = ActionFiles::new(folder.path().join("state"));
        files.put("actions", "a", None, "1").unwrap();
        let mode = |path: PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(files.path("actions", "a")), mode(folder.path().join("state"))), (0o600, 0o700));
    }
}
