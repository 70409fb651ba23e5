//! What the consumer needs of SQS, and nothing more: the seam between the driver and the outside.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use drumline::{Action, Message, ReceiveFailure, Replies};

/// A boxed future that lives on its own.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One queue, as the driver sees it. It performs what it is told and decides nothing.
///
/// Both futures are spawned as tasks of their own. A receive is never dropped half-way, a call only when its loop has ended, so
/// an implementation bounds their time by itself.
pub trait Queue: Send + Sync + 'static {
    /// One long poll for at most `max` messages.
    fn receive(&self, max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>>;

    /// One call of the ledger, answered per entry.
    fn perform(&self, action: Action) -> BoxFuture<Replies>;
}

/// Why a request to SQS failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqsError {
    /// What kind of failure it is.
    pub kind: SqsErrorKind,
    /// What happened and what to do about it, in words.
    pub text: String,
}

/// Failures that call for different measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SqsErrorKind {
    /// The queue does not exist, or not in this account and region.
    NoQueue,
    /// The credentials lack a permission, are wrong, or have expired.
    Denied,
    /// No credentials were found.
    NoCredentials,
    /// Too many requests, or too many messages in flight.
    Throttled,
    /// SQS cannot be reached, or does not answer in time.
    Unreachable,
    /// A receipt handle that counts no longer.
    Gone,
    /// Anything else that SQS answers.
    Other,
}

impl SqsErrorKind {
    /// The `result` label of `drumline_sqs_requests_total`.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoQueue => "no_queue",
            Self::Denied => "denied",
            Self::NoCredentials => "no_credentials",
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
            Self::Gone => "gone",
            Self::Other => "error",
        }
    }

    /// The kind of failure that a receive with this error is to the ledger.
    pub fn receive_failure(self) -> ReceiveFailure {
        match self {
            Self::Unreachable => ReceiveFailure::Unreachable,
            Self::Throttled => ReceiveFailure::Throttled,
            Self::NoQueue | Self::Denied | Self::NoCredentials | Self::Gone | Self::Other => {
                ReceiveFailure::Refused
            }
        }
    }

    /// Whether the same request may succeed a little later without anybody mending anything.
    pub fn passes(self) -> bool {
        matches!(self, Self::Throttled | Self::Unreachable)
    }
}

impl fmt::Display for SqsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for SqsError {}
