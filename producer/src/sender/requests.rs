//! The seam to SQS: one request, one try.

use std::sync::Arc;

use aws_sdk_sqs::Client;
use drumline_runtime::aws::{is_fifo, queue_name};
use drumline_runtime::{BoxFuture, SqsError, SqsErrorKind};

use super::answer::{Answer, EntryAnswer, RequestFailure};
use crate::pack::Outgoing;
use crate::send::{Refusal, SendOptions, try_once};

/// The answer to a request: for each message its id, or the refusal.
pub(super) type Reply = Result<Vec<Result<String, Refusal>>, SqsError>;

/// Makes requests. Each is tried once.
pub(super) trait Requests: Send + Sync {
    /// Sends a batch. Returns its messages with the answer.
    fn send(&self, queue_url: Arc<str>, batch: Vec<Outgoing>) -> BoxFuture<(Vec<Outgoing>, Reply)>;
}

impl Requests for Client {
    fn send(&self, queue_url: Arc<str>, batch: Vec<Outgoing>) -> BoxFuture<(Vec<Outgoing>, Reply)> {
        let client = self.clone();
        Box::pin(async move {
            let options = SendOptions { fifo: is_fifo_url(&queue_url), ..SendOptions::default() };
            let reply = try_once(&client, &queue_url, &options, &batch).await;
            (batch, reply)
        })
    }
}

pub(super) fn is_fifo_url(queue_url: &str) -> bool {
    is_fifo(queue_name(queue_url))
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
