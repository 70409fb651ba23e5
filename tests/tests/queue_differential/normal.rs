//! Makes observations comparable: values that differ by nature get a name by their place.

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{BatchResultErrorEntry, MessageSystemAttributeName as System};

/// Names for ids in the order they appear.
#[derive(Debug, Default)]
pub(crate) struct Names {
    seen: Vec<String>,
}

impl Names {
    /// Returns `#0` for the first ID, `#1` for the second, and the same name again for the same ID.
    pub(crate) fn of(&mut self, id: &str) -> String {
        let place = self.seen.iter().position(|seen| seen == id).unwrap_or_else(|| {
            self.seen.push(id.to_owned());
            self.seen.len() - 1
        });
        format!("#{place}")
    }
}

/// Returns an error's code. The two sides may use its shape's name or the older protocol's code.
pub(crate) fn error_code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    format!("error {}", bare(error.code().unwrap_or("without a code")))
}

/// Returns a failed batch entry: its ID and code, and the party at fault.
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

/// Returns a system attribute's value. Times and the sender's identity differ by nature.
pub(crate) fn system_value(name: &System, value: &str, names: &mut Names) -> String {
    match name {
        System::SentTimestamp | System::ApproximateFirstReceiveTimestamp => "a time".to_owned(),
        System::SequenceNumber => format!("number {}", names.of(value)),
        _ => value.to_owned(),
    }
}
