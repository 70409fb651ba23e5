//! The answers to one request, as far as they matter to the decision what happens next.

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
