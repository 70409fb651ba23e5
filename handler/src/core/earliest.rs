//! The earliest of several times.

use std::time::Instant;

/// Returns the earliest one of the times that are given. It is computed several times for each message, and a loop over an array
/// is much faster than a chain of iterators.
pub(crate) fn earliest<const N: usize>(times: [Option<Instant>; N]) -> Option<Instant> {
    let mut earliest: Option<Instant> = None;
    for time in times.into_iter().flatten() {
        earliest = Some(earliest.map_or(time, |known| known.min(time)));
    }
    earliest
}
