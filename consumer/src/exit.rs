//! The end of a program: its exit status and its last text.

use std::process::ExitCode;

use drumline_runtime::{FactoryError, SqsErrorKind, program};

use crate::start_error::StartError;

/// `EX_USAGE`: bad configuration or usage.
const USAGE: u8 = 64;

/// `EX_UNAVAILABLE`: a service is unavailable.
const UNAVAILABLE: u8 = 69;

/// An error that ends the program, with its exit status.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct ExitError {
    status: u8,
    text: String,
}

impl ExitError {
    /// Makes an error of configuration or usage: status 64.
    pub fn usage(text: impl Into<String>) -> Self {
        Self { status: USAGE, text: text.into() }
    }

    /// Makes an error for an unavailable service: status 69.
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self { status: UNAVAILABLE, text: text.into() }
    }

    /// Makes any other error: status 1.
    pub fn other(text: impl Into<String>) -> Self {
        Self { status: 1, text: text.into() }
    }

    /// Makes an end with this status and without a text.
    pub fn silent(status: u8) -> Self {
        Self { status, text: String::new() }
    }

    /// Makes an error of SQS of this kind. A missing queue and a missing permission count as unavailable, like a missing
    /// network.
    pub fn sqs(kind: SqsErrorKind, text: impl Into<String>) -> Self {
        if kind.is_unavailability() { Self::unavailable(text) } else { Self::other(text) }
    }

    /// Returns true if a service is unavailable and may answer later.
    pub fn is_unavailable(&self) -> bool {
        self.status == UNAVAILABLE
    }

    /// Prints the error to standard error, after the name of the program, unless it is [silent](Self::silent). Returns its exit
    /// status.
    #[allow(clippy::print_stderr, reason = "the last word of a program")]
    pub fn report(self) -> ExitCode {
        if !self.text.is_empty() {
            eprintln!("{}: {}", program(), self.text);
        }
        ExitCode::from(self.status)
    }
}

impl From<StartError> for ExitError {
    fn from(error: StartError) -> Self {
        let text = error.to_string();
        if error.is_wrong_setting() { Self::usage(text) } else { Self::unavailable(text) }
    }
}

/// An error of the factory is bad configuration; a panic is a mistake in the program.
impl From<FactoryError> for ExitError {
    fn from(error: FactoryError) -> Self {
        if error.is_panic() { Self::other(error.to_string()) } else { Self::usage(error.to_string()) }
    }
}

impl From<std::io::Error> for ExitError {
    fn from(error: std::io::Error) -> Self {
        Self::other(error.to_string())
    }
}
