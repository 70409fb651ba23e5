//! The place that an export is written to.

use std::io::Write;

use drumline_consumer::ExitError;
use serde::Serialize;

use super::file::ExportFile;
use crate::output::print;

/// The place that an export is written to.
pub(in crate::dlq) enum Sink {
    File(ExportFile),
    /// Standard output.
    Stdout,
    /// None: letters are only counted.
    Nothing,
}

impl Sink {
    /// Adds a line. A file has it after the next commit.
    pub(super) fn append(&mut self, value: &impl Serialize) -> Result<(), ExitError> {
        match self {
            Self::File(file) => file.append(value),
            Self::Stdout => print(|out| out.json_line(value)),
            Self::Nothing => Ok(()),
        }
    }

    /// The bytes of lines that are not written yet.
    pub(super) fn pending(&self) -> usize {
        match self {
            Self::File(file) => file.pending(),
            Self::Stdout | Self::Nothing => 0,
        }
    }

    /// Writes the lines so far, and waits until they are on disk.
    pub(super) fn commit(&mut self) -> Result<(), ExitError> {
        match self {
            Self::File(file) => file.commit(),
            Self::Stdout => print(Write::flush),
            Self::Nothing => Ok(()),
        }
    }
}
