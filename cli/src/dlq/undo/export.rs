//! The export of the delete that is undone.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use drumline_consumer::ExitError;
use drumline_dlq::action::ActionRecord;
use drumline_dlq::line::{Header, Lines, ReadError};

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
    let (header, lines) = Lines::open(BufReader::new(file)).map_err(|error| unreadable(path, &error))?;
    if !is_of(&header, undone) {
        return Err(ExitError::usage(format!(
            "{} is not the export of {} any more, but {} of {}",
            path.display(),
            undone.name,
            header.name,
            header.dlq_arn.unwrap_or(header.dlq)
        )));
    }
    Ok(lines)
}

/// Returns true if an export is the one of this delete. Another one may have come to its path.
fn is_of(header: &Header, undone: &ActionRecord) -> bool {
    let is_same_dlq = match &header.dlq_arn {
        Some(arn) => *arn == undone.dlq,
        None => undone.dlq.rsplit([':', '/']).next() == Some(&*header.dlq),
    };
    is_same_dlq && header.name == undone.name
}

pub(super) fn unreadable(path: &Path, error: &ReadError) -> ExitError {
    ExitError::usage(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use drumline_dlq::action::{ActionKind, Beginning};
    use drumline_dlq::line::FORMAT_VERSION;

    use super::*;

    const ARN: &str = "arn:aws:sqs:eu-west-1:123456789012:jobs-dlq";

    #[test]
    fn an_export_is_that_of_a_delete_by_its_name_and_its_dlq() {
        let undone = |dlq: &str| {
            let beginning = Beginning {
                kind: ActionKind::Delete,
                name: "INC-42".to_owned(),
                actor: "ada@laptop".to_owned(),
                dlq: dlq.to_owned(),
                words: Vec::new(),
                bounds: Vec::new(),
                host: None,
                journal: None,
                export: Some("/backup/dead.jsonl".to_owned()),
            };
            ActionRecord::begun(beginning, 1_700_000_000_000)
        };
        let header = |name: &str, arn: Option<&str>| Header {
            drumline_dead_letters: FORMAT_VERSION,
            name: name.to_owned(),
            dlq: "jobs-dlq".to_owned(),
            dlq_arn: arn.map(str::to_owned),
            exported_at: "2026-11-29T12:00:00Z".to_owned(),
            program: "drumline 1.0.0".to_owned(),
        };
        let url = "http://127.0.0.1:9324/000000000000/jobs-dlq";
        let table = [
            ("INC-42", Some(ARN), ARN, true),
            ("INC-42", None, url, true),
            ("INC-43", Some(ARN), ARN, false),
            ("INC-42", Some("arn:aws:sqs:us-east-1:123456789012:jobs-dlq"), ARN, false),
            ("INC-42", None, "http://127.0.0.1:9324/000000000000/mails-dlq", false),
        ];
        for (name, arn, dlq, expected) in table {
            assert_eq!(is_of(&header(name, arn), &undone(dlq)), expected, "{name} {arn:?} {dlq}");
        }
    }
}
