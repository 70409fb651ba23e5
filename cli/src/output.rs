//! The output of a command: its format, and standard output, whose reader may close it early.

use std::io::{self, IsTerminal, StdoutLock, Write};

use clap::ValueEnum;
use drumline_consumer::ExitError;
use drumline_runtime::write_json;
use serde::Serialize;

/// The exit status that shells report for a process that SIGPIPE has ended: 128 and the signal's number. It is not 0, because 0
/// has a meaning in some commands: a job is done, or nothing was found.
pub(crate) const READER_LEFT: u8 = 141;

/// The format of a command's output: `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Table,
    Json,
}

/// Standard output, locked.
pub(crate) struct Out {
    lock: StdoutLock<'static>,
    is_terminal: bool,
}

impl Out {
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Writes a value as a line of JSON.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        write_json(&mut *self, value)?;
        writeln!(self)
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock.flush()
    }
}

/// Writes to standard output. All output of commands uses this function.
///
/// # Errors
///
/// Returns an error if writing fails. If the reader has closed the pipe, as `head` does when it has read enough, the error has
/// no text and the status [`READER_LEFT`].
pub(crate) fn print(write: impl FnOnce(&mut Out) -> io::Result<()>) -> Result<(), ExitError> {
    let lock = io::stdout().lock();
    let is_terminal = lock.is_terminal();
    let mut out = Out { lock, is_terminal };
    write(&mut out).and_then(|()| out.flush()).map_err(|error| output_error(&error))
}

/// Returns the error of a command that cannot write its output.
pub(crate) fn output_error(error: &io::Error) -> ExitError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => ExitError::silent(READER_LEFT),
        _ => ExitError::other(format!("the output cannot be written: {error}")),
    }
}
