//! The export of the delete that is undone.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use drumline_consumer::ExitError;
use drumline_dlq::action::ActionRecord;
use drumline_dlq::line::{Lines, ReadError};

/// Its lines.
pub(super) type Export = Lines<BufReader<File>>;

/// Opens the export of a delete.
pub(super) fn open(path: &Path, undone: &ActionRecord) -> Result<Export, ExitError> {
    if path.to_string_lossy().contains("://") {
        return Err(ExitError::usage(format!(
            "the export of {} is in {}: join its objects into a file, and replay that with `dlq replay --from FILE`",
            undone.name,
            path.display()
        )));
    }
    let file = File::open(path).map_err(|error| {
        let place = undone.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
        match error.kind() {
            io::ErrorKind::NotFound => ExitError::usage(format!(
                "the export of {} is {}{place}, and is not there: run it on that host",
                undone.name,
                path.display()
            )),
            _ => ExitError::other(format!("{} cannot be read: {error}", path.display())),
        }
    })?;
    let (_, lines) = Lines::open(BufReader::new(file)).map_err(|error| unreadable(path, &error))?;
    Ok(lines)
}

pub(super) fn unreadable(path: &Path, error: &ReadError) -> ExitError {
    ExitError::usage(format!("{}: {error}", path.display()))
}
