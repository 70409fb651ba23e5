//! The wall clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the wall clock. A clock before 1970 reads as 1970.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Returns the wall clock in milliseconds.
pub(crate) fn now_ms() -> u64 {
    millis(since_epoch())
}

/// Returns a time in milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Returns a time in milliseconds since the Unix epoch as text for people.
pub(crate) fn rfc3339(epoch_ms: u64) -> String {
    let time = jiff::Timestamp::from_millisecond(i64::try_from(epoch_ms).unwrap_or(i64::MAX));
    time.map_or_else(|_| epoch_ms.to_string(), |time| format!("{time:.3}"))
}
