//! The reasons for which a request has no result.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;

/// The reason for which a request has no result.
#[derive(Debug)]
pub struct RequestError {
    /// What happened.
    pub kind: ErrorKind,
    /// The error in words, with its causes and without secrets.
    pub text: String,
}

/// What happened to a request that has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// SQS has answered with an error.
    Service {
        /// The code, such as `QueueDoesNotExist`, as the SDK has it: that of the Query protocol if SQS names one.
        code: String,
        /// The message.
        message: Option<String>,
        /// The HTTP status.
        status: u16,
        /// The time after which SQS wants the next request.
        retry_after: Option<Duration>,
    },
    /// There are no credentials.
    Credentials(CredentialsError),
    /// There was no connection on which it could have been sent.
    NoConnection(Box<dyn Error + Send + Sync>),
    /// It may have reached SQS, and has no answer: the connection ended or the time was over.
    Unanswered(Box<dyn Error + Send + Sync>),
    /// The answer is none that the protocol knows.
    Undecodable,
}

impl RequestError {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// Returns the code of SQS's error.
    pub fn code(&self) -> Option<&str> {
        match &self.kind {
            ErrorKind::Service { code, .. } => Some(code),
            _ => None,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for RequestError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            ErrorKind::Credentials(error) => Some(error),
            ErrorKind::NoConnection(error) | ErrorKind::Unanswered(error) => Some(&**error),
            ErrorKind::Service { .. } | ErrorKind::Undecodable => None,
        }
    }
}
