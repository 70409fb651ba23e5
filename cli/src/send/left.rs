//! The file of refused and failed records, written as they were in the input, so that the same command can send them.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, WriterBuilder};
use drumline_consumer::ExitError;

use super::record::Source;

/// The file, which is created with its first record.
pub(super) struct Left {
    pub(super) path: PathBuf,
    delimiter: u8,
    header: Option<ByteRecord>,
    file: Option<File>,
}

impl Left {
    /// Prepares a file at this path, with this header if the input is CSV.
    ///
    /// # Errors
    ///
    /// Returns an error if the file already exists, unless it belongs to a send that is resumed.
    pub(super) fn new(
        path: &Path,
        header: Option<&ByteRecord>,
        delimiter: u8,
        is_resumed: bool,
    ) -> Result<Self, ExitError> {
        if path.exists() && !is_resumed {
            return Err(ExitError::usage(format!("--failed: {} is there already", path.display())));
        }
        Ok(Self { path: path.to_owned(), delimiter, header: header.cloned(), file: None })
    }

    /// Returns true if no record was written yet.
    pub(super) fn is_empty(&self) -> bool {
        self.file.is_none()
    }

    /// Writes a record.
    pub(super) fn add(&mut self, source: &Source) -> Result<(), ExitError> {
        let added = self.try_add(source);
        added.map_err(|error| ExitError::other(format!("{} cannot be written: {error}", self.path.display())))
    }

    fn try_add(&mut self, source: &Source) -> io::Result<()> {
        if self.file.is_none() {
            let mut options = File::options();
            options.append(true).create(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&self.path)?;
            if file.metadata()?.len() == 0
                && let Some(header) = &self.header
            {
                file.write_all(&row(header, self.delimiter)?)?;
            }
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        match source {
            Source::Line(line) => {
                let end: &[u8] = if line.ends_with(b"\n") { b"" } else { b"\n" };
                file.write_all(&[line, end].concat())
            }
            Source::Row(cells) => file.write_all(&row(cells, self.delimiter)?),
        }
    }
}

fn row(cells: &ByteRecord, delimiter: u8) -> io::Result<Vec<u8>> {
    let mut writer =
        WriterBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_writer(Vec::new());
    writer.write_byte_record(cells).map_err(io::Error::other)?;
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn records_are_written_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("left.csv");
        let header = ByteRecord::from(vec!["id", "note"]);
        let add = |is_resumed: bool, cells: Vec<&str>| {
            let mut left = Left::new(&path, Some(&header), b';', is_resumed).unwrap();
            assert!(is_resumed || !path.exists(), "without a record there is no file");
            left.add(&Source::Row(ByteRecord::from(cells))).unwrap();
        };
        add(false, vec!["1", "a;\"b\"\nc"]);
        add(true, vec!["2"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "id;note\n1;\"a;\"\"b\"\"\nc\"\n2\n");
        assert!(Left::new(&path, None, b',', false).is_err(), "nothing is overwritten");

        let path = folder.path().join("left.jsonl");
        let mut left = Left::new(&path, None, b',', false).unwrap();
        left.add(&Source::Line(b"{\"a\":1}\r\n".to_vec())).unwrap();
        left.add(&Source::Line(b"not JSON".to_vec())).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"a\":1}\r\nnot JSON\n");
    }
}
