//! Progress of the cases.
#![allow(clippy::print_stderr, reason = "standard output has the report alone")]

/// Reports progress.
pub(super) fn say(text: &str) {
    eprintln!("{text}");
}
