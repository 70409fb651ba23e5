//! The ways in which sending in the background fails.

use std::fmt;

use crate::pack::Outgoing;

/// The reason for which a message has no receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendFailure {
    /// SQS does not accept this message, and will not: with the reason. It is not in the queue.
    Refused(String),
    /// No try succeeded, or there was none: with the reason. It is not in the queue.
    NotSent(String),
    /// The answer to a try is lost: with the reason. The message may be in the queue.
    InDoubt(String),
    /// The sender was shut down before it accepted the message. It is not in the queue.
    Closed,
}

impl SendFailure {
    /// Returns true if the message may be in the queue all the same.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt(_))
    }
}

impl fmt::Display for SendFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "the message is refused: {reason}"),
            Self::NotSent(reason) => write!(f, "the message is not sent: {reason}"),
            Self::InDoubt(reason) => write!(f, "the message may be in the queue or not: {reason}"),
            Self::Closed => f.write_str("the message is not sent: the sender is shut down"),
        }
    }
}

impl std::error::Error for SendFailure {}

/// The reason for which a message was not accepted, with the message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError {
    /// The sender holds as many messages or bytes as it may.
    Full(Box<Outgoing>),
    /// It was not accepted for another reason: waiting does not help.
    Failed(Box<Outgoing>, SendFailure),
}

impl TrySendError {
    /// Returns the message.
    pub fn into_message(self) -> Outgoing {
        match self {
            Self::Full(message) | Self::Failed(message, _) => *message,
        }
    }
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => {
                f.write_str("the sender holds as many messages or bytes as it may: try again later")
            }
            Self::Failed(_, failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for TrySendError {}
