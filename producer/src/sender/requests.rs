//! The seam to SQS: one request, one try.

use drumline_runtime::{BoxFuture, SqsError, SqsErrorKind};

use super::answer::{Answer, EntryAnswer, RequestFailure};
use crate::pack::Outgoing;
use crate::send::{NotTaken, Reply, Taken, Why};
use crate::target_queue::TargetQueue;

/// Makes requests. Each is tried once.
pub(super) trait Requests: Send + Sync {
    /// Sends a batch. Returns its messages with the answer.
    fn send(&self, queue: TargetQueue, batch: Vec<Outgoing>) -> BoxFuture<(Vec<Outgoing>, Reply)>;
}

/// Requests to SQS, by the client of each queue.
pub(super) struct ToSqs;

impl Requests for ToSqs {
    fn send(&self, queue: TargetQueue, batch: Vec<Outgoing>) -> BoxFuture<(Vec<Outgoing>, Reply)> {
        Box::pin(async move {
            let offloaded = queue.offload(batch).await;
            if offloaded.ready.is_empty() {
                return offloaded.answered(Ok(Vec::new()));
            }
            let reply = queue.try_once(&offloaded.ready).await;
            offloaded.answered(reply)
        })
    }
}

/// Returns the answer as far as it decides what happens next.
pub(super) fn answer(reply: &Reply) -> Answer {
    match reply {
        Ok(results) => Answer::Entries(results.iter().map(entry_answer).collect()),
        Err(error) => Answer::Failed(request_failure(error)),
    }
}

fn entry_answer(result: &Result<Taken, NotTaken>) -> EntryAnswer {
    match result {
        Ok(_) => EntryAnswer::Sent,
        Err(NotTaken { why: Why::Refused, .. }) => EntryAnswer::Refused,
        Err(NotTaken { why: Why::InDoubt, .. }) => EntryAnswer::InDoubt,
        Err(NotTaken { why: Why::Unavailable | Why::Overtaken, .. }) => EntryAnswer::Failed,
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
