//! The limits of a run, and its end.

use std::time::Duration;

use drumline_dlq::canary::Canary;

use crate::dlq::journal::Journal;
use crate::dlq::replay::decide::Decider;

/// The reason for the end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dlq::replay) enum End {
    /// All letters that match were seen.
    Done,
    /// A signal. The value is the exit status that shells report for it.
    Interrupted(u8),
    /// A reason to stop.
    Stopped(String),
    /// The abort of another operator, as a sentence.
    Aborted(String),
}

/// The limits of a run.
#[derive(Debug, Clone)]
pub(in crate::dlq::replay) struct Bounds {
    /// The largest number of letters to send.
    pub(in crate::dlq::replay) limit: usize,
    /// The largest number of letters a second.
    pub(in crate::dlq::replay) rate: Option<f64>,
    /// The number of returned letters that stops the run.
    pub(in crate::dlq::replay) stop_after: usize,
    /// The letters that are sent first.
    pub(in crate::dlq::replay) canary: Option<Canary>,
    /// The hold of received letters.
    pub(in crate::dlq::replay) hold: Duration,
    /// The time until which a killed process may have hidden letters, in milliseconds since the Unix epoch.
    pub(in crate::dlq::replay) hidden_until: u64,
}

/// The result of a run.
pub(in crate::dlq::replay) struct Outcome<'a> {
    pub(in crate::dlq::replay) end: End,
    pub(in crate::dlq::replay) journal: Journal,
    pub(in crate::dlq::replay) decider: Decider<'a>,
    /// The number of letters that were sent but could not be deleted.
    pub(in crate::dlq::replay) undeletable: usize,
    /// The number of messages of the replay that this process has seen in the DLQ. Earlier processes may have seen others.
    pub(in crate::dlq::replay) returned: usize,
    /// The number of letters that were read.
    pub(in crate::dlq::replay) seen: usize,
}
