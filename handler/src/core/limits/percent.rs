//! A share in percent.

use std::fmt;
use std::str::FromStr;

use super::invalid_limit::InvalidLimit;

/// A share from 1 % to 100 %, written as `25%`.
///
/// ```
/// use drumline::core::Percent;
/// let share: Percent = "25%".parse()?;
/// assert_eq!((share.of(32), share.of(3)), (8, 0));
/// assert!("0%".parse::<Percent>().is_err());
/// # Ok::<(), drumline::core::InvalidLimit>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    /// Returns the share of a whole number, rounded down.
    pub fn of(self, whole: usize) -> usize {
        whole.saturating_mul(usize::from(self.0)) / 100
    }

    /// Returns true if `part` is at least this share of `whole`.
    pub(super) fn is_reached(self, part: u64, whole: u64) -> bool {
        part.saturating_mul(100) >= whole.saturating_mul(u64::from(self.0))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl FromStr for Percent {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        let number = text.trim().strip_suffix('%').and_then(|number| number.trim_end().parse().ok());
        let percent = number.filter(|percent| (1..=100).contains(percent));
        percent.map(Self).ok_or_else(|| InvalidLimit("a share is a whole number from 1% to 100%".to_owned()))
    }
}
