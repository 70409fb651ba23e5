//! Making observations comparable: what differs by nature gets a name by its place.

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{BatchResultErrorEntry, MessageSystemAttributeName as System};

/// Names for ids in the order they appear.
#[derive(Debug, Default)]
pub(crate) struct Names {
    seen: Vec<String>,
}

impl Names {
    /// `#0` for the first id seen, `#1` for the second, and the same again for the same id.
    pub(crate) fn of(&mut self, id: &str) -> String {
        let place = self.seen.iter().position(|seen| seen == id).unwrap_or_else(|| {
            self.seen.push(id.to_owned());
            self.seen.len() - 1
        });
        format!("#{place}")
    }
}

/// An error's code. The two sides may name it by its shape or by the older protocol's code.
pub(crate) fn error_code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    format!("error {}", bare(error.code().unwrap_or("without a code")))
}

/// A failed batch entry: its id and code, and whose fault it is.
pub(crate) fn failed_entry(entry: &BatchResultErrorEntry) -> String {
    format!("{} failed {} sender fault {}", entry.id(), bare(entry.code()), entry.sender_fault())
}

fn bare(code: &str) -> &str {
    let code = code.rsplit(['.', '#']).next().unwrap_or(code);
    match code.strip_suffix("Exception").unwrap_or(code) {
        // One error, two protocols.
        "MissingRequiredParameter" => "MissingParameter",
        code => code,
    }
}

/// A system attribute's value; times and the sender's identity by nature differ.
pub(crate) fn system_value(name: &System, value: &str, names: &mut Names) -> String {
    match name {
        System::SentTimestamp | System::ApproximateFirstReceiveTimestamp => "a time".to_owned(),
        System::SequenceNumber => format!("number {}", names.of(value)),
        _ => value.to_owned(),
    }
}
