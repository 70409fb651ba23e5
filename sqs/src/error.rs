//! The reasons why a request has no result.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;

/// The reason why a request has no result.
#[derive(Debug)]
pub struct RequestError {
    /// The kind of the error.
    pub kind: ErrorKind,
    /// The text of the error, with its causes and without secrets.
    pub text: String,
}

/// The kind of a request's error.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// SQS has answered with an error.
    Service {
        /// The code, such as `QueueDoesNotExist`, as in the SDK: that of the Query protocol if SQS sends one.
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
    /// There was no connection on which the request could have been sent.
    NoConnection(Box<dyn Error + Send + Sync>),
    /// The request may have reached SQS, and has no answer: the connection ended or the time was over.
    Unanswered(Box<dyn Error + Send + Sync>),
    /// The answer is not of the protocol.
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
