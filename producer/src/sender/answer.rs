//! The results of one request, reduced to the information for the next decision.

use drumline_runtime::{SqsError, SqsErrorKind};

use crate::send::{NotTaken, Reply, Taken, Why};

/// The result of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// SQS has responded for each entry, in the order of the batch.
    Entries(Vec<EntryAnswer>),
    /// The request failed as a whole.
    Failed(RequestFailure),
}

/// The result of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryAnswer {
    /// SQS has accepted the message.
    Sent,
    /// SQS refuses it permanently, because of the sender.
    Refused,
    /// SQS has not accepted it this time.
    Failed,
    /// The response omits it: SQS may have accepted it.
    InDoubt,
}

/// The failure of a whole request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestFailure {
    /// SQS has accepted nothing, and may accept it later: throttling, no connection, expired credentials.
    Passing,
    /// The response is lost: SQS may have accepted all entries, some or none.
    InDoubt,
    /// SQS refuses this particular request. One entry may be the cause.
    Refused,
    /// No request can succeed: no queue, no permission, no credentials.
    Hopeless,
    /// The request was never finished because of a bug in this process: SQS may have accepted it.
    Broken,
}

/// The final state of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// SQS has confirmed it.
    Sent,
    /// SQS has refused it.
    Refused,
    /// SQS does not have it.
    NotSent,
    /// SQS may have it.
    InDoubt,
}

/// Returns the information of a reply that the next decision needs.
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
