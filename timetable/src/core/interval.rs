//! Intervals of time.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::error::Refused;

const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// An interval that fires at its multiples since the Unix epoch, which are the same on each machine, before and after a
/// restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    seconds: i64,
}

impl Interval {
    pub(crate) fn new(every: Duration) -> Result<Self, Refused> {
        let is_whole = every.subsec_nanos() == 0 && !every.is_zero() && every <= LONGEST;
        match i64::try_from(every.as_secs()) {
            Ok(seconds) if is_whole => Ok(Self { seconds }),
            _ => {
                let reason = format!("must be whole seconds from 1s to 366d, not {every:?}");
                Err(("every", reason))
            }
        }
    }

    /// Returns its length.
    pub fn length(self) -> Duration {
        Duration::from_secs(self.seconds.unsigned_abs())
    }

    pub(crate) fn next_after(self, after: Timestamp) -> Option<Timestamp> {
        let second = after.as_millisecond().div_euclid(1000);
        Timestamp::from_second((second.div_euclid(self.seconds) + 1) * self.seconds).ok()
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Uses the largest unit that divides it, so that an interval has only one text.
        let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
        let (unit, length) =
            units.into_iter().find(|(_, length)| self.seconds % length == 0).unwrap_or(("s", 1));
        write!(f, "{}{unit}", self.seconds / length)
    }
}
