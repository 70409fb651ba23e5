//! The pace of probes.

use std::time::Duration;

/// The time limit of a probe.
pub(super) const PROBE_TIME: Duration = Duration::from_secs(5);

/// Returns the wait after `last`, between the first and the longest one.
pub(super) fn next_wait(last: Option<Duration>, (first, longest): (Duration, Duration)) -> Duration {
    last.map_or(first, |last| (last * 2).min(longest))
}
