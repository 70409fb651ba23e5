//! Prints the progress of the cases.
#![allow(clippy::print_stderr, reason = "standard output has the report alone")]

/// Prints a line of progress.
pub(super) fn say(text: &str) {
    eprintln!("{text}");
}
