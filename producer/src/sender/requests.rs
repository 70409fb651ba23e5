//! The seam to SQS: one request, one try.

use std::time::Duration;

use drumline_runtime::{BoxFuture, SqsError, SqsErrorKind};
use tokio::time::timeout;

use super::answer::{Answer, EntryAnswer, RequestFailure};
use crate::pack::Outgoing;
use crate::send::{NotTaken, Reply, Taken, Why};
use crate::target_queue::TargetQueue;

/// The time after which a request counts as lost, so that every message has an end with any client: the SDK has no such limit by default,
/// the clients of `drumline-runtime` have a shorter one.
const PATIENCE: Duration = Duration::from_secs(60);

/// The answer to a request: for each message its id, or the reason for which SQS has not taken it.
pub(super) type Reply = Result<Vec<Result<Taken, NotTaken>>, SqsError>;

/// Makes requests. Each is tried once.
pub(super) trait Requests: Send + Sync {
    /// Sends a batch. Returns its messages with the answer.
    fn send(&self, queue_url: Arc<str>, batch: Vec<Outgoing>) -> BoxFuture<(Vec<Outgoing>, Reply)>;
}

impl Requests for Client {
    fn send(&self, queue_url: Arc<str>, batch: Vec<Outgoing>) -> BoxFuture<(Vec<Outgoing>, Reply)> {
        let client = self.clone();
        Box::pin(async move {
            let reply = timeout(PATIENCE, queue.try_once(&batch)).await;
            (batch, reply.unwrap_or_else(|_| Err(no_answer())))
        })
    }
}

fn no_answer() -> SqsError {
    let text = format!("SendMessageBatch: SQS has not answered within {} s", PATIENCE.as_secs());
    SqsError { is_in_doubt: true, ..SqsError::new(SqsErrorKind::Unreachable, text) }
}

/// Returns the answer as far as it decides what happens next.
pub(super) fn answer(reply: &Reply) -> Answer {
    match reply {
        Ok(results) => Answer::Entries(results.iter().map(entry_answer).collect()),
        Err(error) => Answer::Failed(request_failure(error)),
    }
}

fn entry_answer(result: &Result<String, Refusal>) -> EntryAnswer {
    match result {
        Ok(_) => EntryAnswer::Sent,
        Err(NotTaken { why: Why::Refused, .. }) => EntryAnswer::Refused,
        Err(NotTaken { why: Why::Unavailable | Why::Overtaken | Why::InDoubt, .. }) => EntryAnswer::Failed,
    }
}

fn request_failure(error: &SqsError) -> RequestFailure {
    if error.is_in_doubt {
        RequestFailure::InDoubt
    } else if error.kind.passes() {
        RequestFailure::Passing
    } else if error.kind == SqsErrorKind::Other {
        RequestFailure::Refused
    } else {
        RequestFailure::Hopeless
    }
}
