//! The answers to one request, as far as they matter to the decision what happens next.

use drumline_runtime::{SqsError, SqsErrorKind};

use crate::send::{NotTaken, Reply, Taken, Why};

/// The answer to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// SQS has answered each entry, in the order of the batch.
    Entries(Vec<EntryAnswer>),
    /// The request failed as a whole.
    Failed(RequestFailure),
}

/// The answer to one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryAnswer {
    /// SQS has the message.
    Sent,
    /// SQS refuses it, and always will: the sender's fault.
    Refused,
    /// SQS has not taken it this time.
    Failed,
    /// The answer does not mention it: SQS may have taken it.
    InDoubt,
}

/// The failure of a whole request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestFailure {
    /// SQS has taken nothing, and may take it later: throttled, no connection, expired credentials.
    Passing,
    /// The answer is lost: SQS may have taken all entries, some or none.
    InDoubt,
    /// SQS refuses this very request. One entry may be the reason.
    Refused,
    /// No request can succeed: no queue, no permission, no credentials.
    Hopeless,
    /// The request was never finished, by a bug of this process: SQS may have taken it.
    Broken,
}

/// The end of one message's way.
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
