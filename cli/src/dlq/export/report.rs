//! The result of an export or a delete: a table for people, a line of JSON for programs.

use std::io::Write;
use std::process::ExitCode;

use drumline_consumer::ExitError;
use serde::Serialize;

use super::pass::Done;
use super::sink::Sink;
use crate::format::note;
use crate::output::{Output, print};

/// A result as one line of JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::dlq) struct Summary<'a> {
    name: &'a str,
    kind: &'a str,
    state: &'static str,
    matched: usize,
    exported: usize,
    deleted: usize,
    /// Letters that match and could not be deleted.
    left: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

impl<'a> Summary<'a> {
    pub(in crate::dlq) fn new(name: &'a str, kind: &'a str, done: &'a Done, sink: &Sink) -> Self {
        let (file, bytes) = sink.place().unzip();
        Self {
            name,
            kind,
            state: "done",
            matched: done.chosen.len(),
            exported: done.written,
            deleted: done.deleted,
            left: done.undeleted,
            why: done.why.as_deref(),
            file,
            bytes,
        }
    }

    /// Prints the result. If the export goes to standard output, the result is a note on standard error.
    pub(in crate::dlq) fn report<T>(
        mut self,
        result: &Result<T, ExitError>,
        output: Output,
        is_stdout: bool,
    ) -> Result<(), ExitError> {
        if result.is_err() {
            self.state = "stopped";
        }
        if let Some(why) = self.why {
            note(&format!("{} could not be deleted: {why}", crate::format::count(self.left, "letter")));
        }
        if is_stdout {
            note(&format!("exported {}", crate::format::count(self.exported, "letter")));
            return Ok(());
        }
        print(|out| match output {
            Output::Json => out.json_line(&self),
            Output::Table => self.table(out),
        })
    }

    fn table(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "{}  {}", self.name, self.state)?;
        if let (Some(file), Some(bytes)) = (&self.file, self.bytes) {
            writeln!(out, "exported  {}  to {file}, {bytes} bytes", self.exported)?;
        }
        if self.deleted > 0 || self.kind == "delete" {
            writeln!(out, "deleted   {}", self.deleted)?;
        }
        if self.left > 0 {
            writeln!(out, "left      {}", self.left)?;
        }
        Ok(())
    }
}

/// Returns the exit status: 1 if letters that match are left.
pub(in crate::dlq) fn status_of(done: &Done) -> ExitCode {
    ExitCode::from(u8::from(done.undeleted > 0))
}
