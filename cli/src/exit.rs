//! How a command ends: what it says, and with which status.

use drumline_runtime::SqsErrorKind;
use drumline_store::OpenError;
use std::process::ExitCode;

use crate::consumer::StartError;

/// `EX_USAGE`: bad configuration or usage.
const USAGE: u8 = 64;

/// `EX_UNAVAILABLE`: a service is unavailable.
const UNAVAILABLE: u8 = 69;

/// A command that did not do what it was to do.
#[derive(Debug)]
pub(super) struct Failed {
    status: u8,
    text: String,
}

impl Failed {
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self { status: USAGE, text: text.into() }
    }

    pub(super) fn unavailable(text: impl Into<String>) -> Self {
        Self { status: UNAVAILABLE, text: text.into() }
    }

    pub(super) fn other(text: impl Into<String>) -> Self {
        Self { status: 1, text: text.into() }
    }

    /// By what kind of SQS error it is: no queue and no access are as unavailable as no network.
    pub(super) fn sqs(kind: SqsErrorKind, text: impl Into<String>) -> Self {
        match kind {
            SqsErrorKind::Gone | SqsErrorKind::Other => Self::other(text),
            SqsErrorKind::NoQueue
            | SqsErrorKind::WrongRegion
            | SqsErrorKind::Denied
            | SqsErrorKind::InvalidCredentials
            | SqsErrorKind::ExpiredCredentials
            | SqsErrorKind::ClockSkew
            | SqsErrorKind::NoCredentials
            | SqsErrorKind::CredentialsUnavailable
            | SqsErrorKind::Throttled
            | SqsErrorKind::OutOfResources
            | SqsErrorKind::Unreachable => Self::unavailable(text),
        }
    }

    #[allow(clippy::print_stderr, reason = "the last word of a command")]
    pub(super) fn report(self) -> ExitCode {
        eprintln!("drumline: {}", self.text);
        ExitCode::from(self.status)
    }
}

impl From<StartError> for Failed {
    fn from(error: StartError) -> Self {
        let text = error.to_string();
        match error {
            StartError::Settings(_) | StartError::Store(OpenError::Url(_)) => Self::usage(text),
            StartError::Queue { .. }
            | StartError::DeadLetterQueue { .. }
            | StartError::Store(OpenError::Unavailable(_))
            | StartError::Http { .. } => Self::unavailable(text),
        }
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::other(error.to_string())
    }
}

/// Help and version are answers; anything else that clap stops at is bad usage.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    // Where even that cannot be printed, the status has to do.
    let _ = error.print();
    match error.kind() {
        clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(USAGE),
    }
}
