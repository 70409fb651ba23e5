//! The export with the letters that are put back.

use std::fs::File;
use std::io::{self, BufReader};

use aws_config::SdkConfig;
use drumline_consumer::ExitError;
use drumline_dlq::action::ActionRecord;
use drumline_dlq::line::{Exported, Header, Lines, ReadError};

use crate::dlq::s3::{StoredExport, is_s3};

/// The letters of an export, read one after the other.
pub(super) enum Export {
    File { path: String, lines: Lines<BufReader<File>> },
    Objects(Box<StoredExport>),
}

impl Export {
    /// Opens the export of an action.
    pub(super) async fn open(
        place: &str,
        undone: &ActionRecord,
        config: &SdkConfig,
    ) -> Result<Self, ExitError> {
        if is_s3(place) {
            let stored = StoredExport::open(place, config).await?;
            expect_of(&stored.header, place, undone)?;
            return Ok(Self::Objects(Box::new(stored)));
        }
        let (header, lines) = open_file(place, undone)?;
        expect_of(&header, place, undone)?;
        Ok(Self::File { path: place.to_owned(), lines })
    }

    /// Returns the next letter with the number of its line.
    pub(super) async fn next(&mut self) -> Result<Option<Exported>, ExitError> {
        match self {
            Self::Objects(stored) => stored.next().await,
            Self::File { path, lines } => match lines.next() {
                // A letter is deleted only after its line was completed.
                None | Some(Err(ReadError::Torn { .. })) => Ok(None),
                Some(Ok(exported)) => Ok(Some(exported)),
                Some(Err(error)) => Err(unreadable(path, &error)),
            },
        }
    }
}

fn open_file(path: &str, undone: &ActionRecord) -> Result<(Header, Lines<BufReader<File>>), ExitError> {
    let file = File::open(path).map_err(|error| {
        let place = undone.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
        match error.kind() {
            io::ErrorKind::NotFound => ExitError::usage(format!(
                "the export of {} is {path}{place}, and is not there: run it on that host",
                undone.name
            )),
            _ => ExitError::other(format!("{path} cannot be read: {error}")),
        }
    })?;
    Lines::open(BufReader::new(file)).map_err(|error| unreadable(path, &error))
}

/// Returns an error if the export does not belong to the action.
fn expect_of(header: &Header, place: &str, undone: &ActionRecord) -> Result<(), ExitError> {
    if is_of(header, undone) {
        return Ok(());
    }
    Err(ExitError::usage(format!(
        "{place} is not the export of {} any more, but {} of {}",
        undone.name,
        header.name,
        header.dlq_arn.as_ref().unwrap_or(&header.dlq)
    )))
}

/// Returns true if the export belongs to this action. Another export may now be at its path.
fn is_of(header: &Header, undone: &ActionRecord) -> bool {
    let is_same_dlq = match &header.dlq_arn {
        Some(arn) => *arn == undone.dlq,
        None => undone.dlq.rsplit([':', '/']).next() == Some(&*header.dlq),
    };
    is_same_dlq && header.name == undone.name
}

fn unreadable(path: &str, error: &ReadError) -> ExitError {
    ExitError::usage(format!("{path}: {error}"))
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
