//! The times from a message's sending to its pickup or its success.

use std::time::Duration;

use drumline::core::{Ending, LedgerEvent, Outcome};
use drumline::run::AttemptInfo;

use crate::clock::since_epoch;

/// Returns the time from `sent_at`, since the Unix epoch, until now.
pub fn age(sent_at: Duration) -> Duration {
    since_epoch().saturating_sub(sent_at)
}

/// Returns the time from the sending of a run's message until now, if the sending time is known:
/// `drumline_pickup_delay_seconds`.
pub fn pickup_delay(attempt: &AttemptInfo) -> Option<Duration> {
    attempt.message().sent_at.map(age)
}

/// Returns the time from the sending of a message until now, if a run of its job has now succeeded:
/// `drumline_job_dwell_seconds`. Returns `None` for other events, and if the sending time is not known.
pub fn dwell(note: &LedgerEvent) -> Option<Duration> {
    match note {
        LedgerEvent::Decided { message, outcome: Outcome::Ack, run: Some(run), .. }
            if run.ending == Ending::Done =>
        {
            message.sent_at.map(age)
        }
        _ => None,
    }
}
