//! The answers of SQS, as callers get them.

use drumline::message::Message;

/// The result of a receive.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The messages.
    pub messages: Vec<Message>,
    /// The messages that could not be decoded. They stay hidden for their visibility timeout, and are delivered again.
    pub undecodable: Vec<Undecodable>,
}

/// A message that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// Its id, if that could be read.
    pub message_id: Option<String>,
    /// The reason, without any content of the message.
    pub reason: String,
}

/// The answer to a batch. An entry that could not be decoded is in neither list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct BatchAnswer {
    /// The entries that were carried out.
    pub successful: Vec<SentEntry>,
    /// The entries that failed.
    pub failed: Vec<FailedEntry>,
}

/// An entry that was carried out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SentEntry {
    /// The position of the entry, in decimal.
    pub id: String,
    /// The id of a sent message.
    pub message_id: Option<String>,
    /// The sequence number of a message sent to a FIFO queue.
    pub sequence_number: Option<String>,
}

/// An entry that failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FailedEntry {
    /// The position of the entry, in decimal.
    pub id: String,
    /// The code of the error.
    pub code: String,
    /// The message of the error.
    pub message: Option<String>,
    /// The request is at fault, so that it would fail again.
    pub sender_fault: bool,
}

/// The maximum number of entries of a receive or a batch.
pub(crate) const MAX_ENTRIES: usize = 10;
