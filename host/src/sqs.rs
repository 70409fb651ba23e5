//! What the consumer needs of SQS, and nothing more: the seam between the driver and the outside.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use drumline::core::{Action, Replies, SqsErrorKind, SqsResult};
use drumline::message::Message;

/// A boxed future that lives on its own.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One queue, as the driver sees it. It performs what it is told and decides nothing.
///
/// Both futures are spawned as tasks of their own. A receive is never dropped half-way, a call only when its loop has ended, so
/// an implementation bounds their time by itself.
pub trait Queue: Send + Sync + 'static {
    /// One long poll for at most `max` messages.
    fn receive(&self, max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>>;

    /// One receive of at most `max` messages that are there now: it waits for none. Only queues that share their slots are received
    /// from so. By default a long poll, which keeps slots from other queues for as long as it waits.
    fn receive_now(&self, max: usize) -> BoxFuture<Result<Vec<Message>, SqsError>> {
        self.receive(max)
    }

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
    /// The time after which SQS wants the next request, if its answer names one.
    pub retry_after: Option<Duration>,
    /// SQS may have carried out the request: the connection ended, the time was over, or SQS failed, before its answer came.
    pub is_in_doubt: bool,
}

impl fmt::Display for SqsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for SqsError {}

impl SqsError {
    /// An error of this kind.
    pub fn new(kind: SqsErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), retry_after: None, is_in_doubt: false }
    }

    /// Returns true if the credentials are good, and lack the permission for the request.
    pub fn is_access_denied(&self) -> bool {
        self.kind == SqsErrorKind::Denied && self.text.contains("AccessDenied")
    }

    /// Returns the result of a request, for its [`Event::SqsRequest`](drumline::run::Event::SqsRequest).
    pub fn result_of<T>(result: &Result<T, Self>) -> SqsResult {
        result.as_ref().map_or_else(|error| SqsResult::Failed(error.kind), |_| SqsResult::Ok)
    }
}
