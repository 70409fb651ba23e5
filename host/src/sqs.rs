//! The part of SQS that the consumer uses: the interface between the driver and the outside.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use drumline::core::{Action, Replies, SqsErrorKind, SqsResult};
use drumline::message::Message;

/// A boxed future with the lifetime `'static`.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One queue, as used by the driver. It carries out requests and decides nothing.
///
/// Both futures are spawned as separate tasks. A receive is never dropped before its end, and a call only when its loop has
/// ended, so an implementation limits their time itself.
pub trait Queue: Send + Sync + 'static {
    /// Makes one long poll for at most `max` messages.
    fn receive(&self, max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>>;

    /// Makes one receive of at most `max` messages that are there now, without waiting. Only queues that share their slots are
    /// received from like this. By default it is a long poll, which keeps slots from other queues while it waits.
    fn receive_now(&self, max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        self.receive(max)
    }

    /// Makes one call of the ledger, with an answer per entry.
    fn perform(&self, action: Action) -> BoxFuture<Replies>;
}

/// The failure of a request to SQS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqsError {
    /// The kind of failure.
    pub kind: SqsErrorKind,
    /// A text about the problem and its fix.
    pub text: String,
    /// The time after which SQS wants the next request, if its answer contains one.
    pub retry_after: Option<Duration>,
    /// True if SQS may have carried out the request: before its answer arrived, the connection ended, the time was over, or SQS
    /// failed.
    pub is_in_doubt: bool,
}

impl fmt::Display for SqsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for SqsError {}

impl SqsError {
    /// Makes an error of this kind.
    pub fn new(kind: SqsErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), retry_after: None, is_in_doubt: false }
    }

    /// Returns true if the credentials are valid, but lack the permission for the request.
    pub fn is_access_denied(&self) -> bool {
        self.kind == SqsErrorKind::Denied && self.text.contains("AccessDenied")
    }

    /// Returns the result of a request, for its [`Event::SqsRequest`](drumline::run::Event::SqsRequest).
    pub fn result_of<T>(result: &Result<T, Self>) -> SqsResult {
        result.as_ref().map_or_else(|error| SqsResult::Failed(error.kind), |_| SqsResult::Ok)
    }
}
