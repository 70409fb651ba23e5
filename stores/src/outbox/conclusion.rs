//! The end of a relay's work on a job.

use std::time::Duration;

/// The end of a relay's work on a job that it has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclusion {
    /// SQS has confirmed it, with this message id.
    Sent {
        /// The id that SQS gave to the message.
        message_id: String,
    },
    /// It was not sent, and is due again after this time.
    Later {
        /// The time until it is due.
        after: Duration,
        /// True if the attempt counts as a failure of this job.
        is_failure: bool,
        /// The reason, for people.
        reason: Option<String>,
    },
    /// It cannot be sent: it stays until an operator deals with it, and holds up no other job.
    Parked {
        /// The reason, for people.
        reason: String,
    },
}
