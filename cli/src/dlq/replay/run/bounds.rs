//! The numbers that bound a run, and its end.

use std::time::Duration;

use drumline_dlq::canary::Canary;

use crate::dlq::journal::Journal;
use crate::dlq::replay::decide::Decider;

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dlq::replay) enum End {
    /// All letters that match were seen.
    Done,
    /// A signal; the exit status that shells report for it.
    Interrupted(u8),
    /// A reason to stop, in words.
    Stopped(String),
    /// Another operator's wish, in words.
    Aborted(String),
}

/// The numbers that bound a run.
#[derive(Debug, Clone)]
pub(in crate::dlq::replay) struct Bounds {
    /// Letters that are sent at most.
    pub(in crate::dlq::replay) limit: usize,
    /// Letters a second.
    pub(in crate::dlq::replay) rate: Option<f64>,
    /// Returned letters that stop it.
    pub(in crate::dlq::replay) stop_after: usize,
    /// The letters that are sent first.
    pub(in crate::dlq::replay) canary: Option<Canary>,
    /// The hold of received letters.
    pub(in crate::dlq::replay) hold: Duration,
    /// The time until which a killed process may have hidden letters, in milliseconds since the Unix epoch.
    pub(in crate::dlq::replay) hidden_until: u64,
}

/// The outcome of a run.
pub(in crate::dlq::replay) struct Outcome<'a> {
    pub(in crate::dlq::replay) end: End,
    pub(in crate::dlq::replay) journal: Journal,
    pub(in crate::dlq::replay) decider: Decider<'a>,
    /// Letters that were sent, and could not be deleted.
    pub(in crate::dlq::replay) undeletable: usize,
    /// Messages of the replay that this process has seen in the DLQ. Earlier ones may have seen others.
    pub(in crate::dlq::replay) returned: usize,
    /// Letters that were looked at.
    pub(in crate::dlq::replay) seen: usize,
}
