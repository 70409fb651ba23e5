//! The time from a message's sending to its start.

use std::time::Duration;

use drumline::run::AttemptInfo;

use crate::clock::since_epoch;

/// Returns the time from the sending of a run's message until now, if it is known when it was sent:
/// `drumline_pickup_delay_seconds`.
pub fn pickup_delay(attempt: &AttemptInfo) -> Option<Duration> {
    attempt.message().sent_at.map(|sent_at| since_epoch().saturating_sub(sent_at))
}
