//! The progress of a send on a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar for a file of known length, with the remaining time; a counter for an input of unknown length.
pub(super) struct Progress {
    bar: ProgressBar,
    is_file: bool,
}

impl Progress {
    /// Creates the progress of an input, hidden if standard error is not a terminal.
    pub(super) fn new(bytes: Option<u64>) -> Self {
        let is_file = bytes.is_some();
        if !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden(), is_file };
        }
        let style = |template| ProgressStyle::with_template(template).expect("the template is sound");
        let bar = match bytes {
            Some(bytes) => ProgressBar::new(bytes)
                .with_style(style("{bar:30} {percent:>3} %  {msg}, {elapsed} passed, {eta} left")),
            None => ProgressBar::new_spinner().with_style(style("{spinner} {msg}, {elapsed} passed")),
        };
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, is_file }
    }

    /// Shows the number of sent jobs, and the number of bytes read.
    pub(super) fn show(&self, sent: u64, bytes: u64) {
        if self.is_file {
            self.bar.set_position(bytes);
        }
        self.bar.set_message(format!("{sent} sent"));
    }

    /// Prints a text above the bar.
    pub(super) fn print<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Removes the bar.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
