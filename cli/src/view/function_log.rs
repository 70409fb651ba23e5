//! Parses the log lines of a function that uses Drumline.

use serde::Deserialize;

/// The prefix of the targets of Drumline's log entries.
const OWN_TARGETS: &str = "drumline";

/// A line of a function's output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A log entry of Drumline. It has a message's id and the reason of its failure if it reports one.
    OfDrumline(Option<(String, String)>),
    /// Any other line.
    Foreign,
}

#[derive(Deserialize)]
struct Entry {
    target: String,
    message_id: Option<String>,
    reason: Option<String>,
}

/// Parses a line of a function's output.
pub(crate) fn read(line: &str) -> Line {
    match serde_json::from_str(line) {
        Ok(Entry { target, message_id, reason }) if target.starts_with(OWN_TARGETS) => {
            Line::OfDrumline(message_id.zip(reason))
        }
        _ => Line::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_read_from_drumlines_entries_alone() {
        let table = [
            (
                r#"{"target":"drumline_runtime::logs","message_id":"m","reason":"why"}"#,
                Some(Some(("m", "why"))),
            ),
            (r#"{"target":"drumline_lambda::conversation","message":"SIGTERM"}"#, Some(None)),
            (r#"{"target":"orders","message_id":"m","reason":"why"}"#, None),
            ("plain text", None),
            ("[]", None),
        ];
        for (line, expected) in table {
            let expected = expected.map_or(Line::Foreign, |reason| {
                Line::OfDrumline(reason.map(|(id, reason)| (id.to_owned(), reason.to_owned())))
            });
            assert_eq!(read(line), expected, "{line}");
        }
    }
}
