//! The rules of the limits of jobs.

use std::collections::HashMap;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;
use std::time::Duration;

use super::breaker::BreakerRule;
use super::invalid_limit::InvalidLimit;

/// The rules of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRules {
    /// The rules of job types, by name.
    pub types: HashMap<String, TypeRules>,
    /// The cores that the process may use: this many jobs of [`JobKind::Cpu`] run at once.
    pub cores: NonZeroUsize,
}

impl LimitRules {
    /// Makes rules that limit nothing, for a process that may use this number of cores.
    pub fn none(cores: NonZeroUsize) -> Self {
        Self { types: HashMap::new(), cores }
    }
}

/// The rules of one job type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TypeRules {
    /// The number of jobs that run at once in this process, over all of its queues.
    pub concurrency: Option<NonZeroUsize>,
    /// The main need of its jobs.
    pub kind: JobKind,
    /// The rate at which jobs start.
    pub rate: Option<RateRule>,
    /// The failures that pause jobs.
    pub breaker: Option<BreakerRule>,
}

/// The main need of the jobs of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JobKind {
    /// They mostly wait for other systems.
    #[default]
    Io,
    /// Each needs a core: all of this kind together run at most as many as the process has cores.
    Cpu,
}

/// The rate at which the jobs of a type start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateRule {
    /// The rate.
    pub rate: Rate,
    /// The number of jobs that start at once after a time without any: see [`Rate::default_burst`].
    pub burst: NonZeroU32,
    /// The key whose values are counted separately; `None` counts all jobs of the type together.
    pub key: Option<RateKey>,
}

impl RateRule {
    /// The maximum number of tokens at one time if workers share the rate.
    pub(super) fn shared_burst(&self) -> NonZeroU32 {
        self.burst.min(self.rate.most_burst()).max(self.rate.jobs_in(SHARED))
    }

    /// The maximum number of tokens that one worker leases at once.
    pub(super) fn most_leased(&self) -> NonZeroU32 {
        self.rate.jobs_in(SHARED)
    }
}

/// The value by which jobs of one type are counted separately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateKey {
    /// The value at a JSON pointer of the payload, such as `/customerId`.
    Pointer(String),
    /// The message group.
    Group,
}

/// A number of jobs in a time, such as `50/s`.
///
/// ```
/// use drumline::core::Rate;
/// let rate: Rate = "600/m".parse()?;
/// assert_eq!(rate.interval(), std::time::Duration::from_millis(100));
/// assert!("0/s".parse::<Rate>().is_err());
/// # Ok::<(), drumline::core::InvalidLimit>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    per: Duration,
}

/// The highest rate: with more, jobs would start within a microsecond of each other.
const MOST_PER_SECOND: u32 = 1_000_000;

/// The time whose jobs may start at once by default: a tenth of a second, so that a worker that is late by less still starts as
/// many as it may.
const BURST: Duration = Duration::from_millis(100);

/// The longest time without jobs that counts: the maximum burst is the number of jobs in it.
const LONGEST_SAVING: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The time whose tokens exist at least at once if workers share a rate, and at most in one lease. Together with the quarter of
/// a second for which tokens last, this is 4.5 % of the jobs of ten seconds: all workers together start at most 105 % of the
/// rate in any ten seconds.
const SHARED: Duration = Duration::from_millis(200);

impl Rate {
    /// The jobs that start in a time, rounded up, and at least one.
    fn jobs_in(self, time: Duration) -> NonZeroU32 {
        let jobs = (u128::from(self.count.get()) * time.as_nanos()).div_ceil(self.per.as_nanos());
        u32::try_from(jobs).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX)
    }

    /// The burst of a rule without one: the jobs of 100 ms, rounded up.
    pub fn default_burst(self) -> NonZeroU32 {
        self.jobs_in(BURST)
    }

    /// The largest burst: the jobs of 30 days.
    pub fn most_burst(self) -> NonZeroU32 {
        self.jobs_in(LONGEST_SAVING)
    }

    /// The number of jobs in [`per`](Self::per).
    pub fn count(self) -> NonZeroU32 {
        self.count
    }

    /// The time in which that number starts.
    pub fn per(self) -> Duration {
        self.per
    }

    /// The time between two jobs.
    pub fn interval(self) -> Duration {
        self.per / self.count.get()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.per.as_secs() {
            1 => "s",
            60 => "m",
            _ => "h",
        };
        write!(f, "{}/{per}", self.count)
    }
}

impl FromStr for Rate {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        let invalid = || InvalidLimit("a rate is a number per s, m or h, such as 50/s".to_owned());
        let (count, per) = text.split_once('/').ok_or_else(invalid)?;
        let seconds = match per.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(invalid()),
        };
        let count: NonZeroU32 = count.trim().parse().map_err(|_| invalid())?;
        if u64::from(count.get()) > u64::from(MOST_PER_SECOND) * seconds {
            return Err(InvalidLimit(format!("a rate is at most {MOST_PER_SECOND}/s")));
        }
        Ok(Self { count, per: Duration::from_secs(seconds) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rates_are_numbers_per_second_minute_or_hour() {
        for (text, interval_us) in
            [("1/s", 1_000_000), ("50/s", 20_000), (" 90 / m ", 666_666), ("1/h", 3_600_000_000)]
        {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.interval(), Duration::from_micros(interval_us).max(rate.interval()), "{text}");
            assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate, "{text}");
        }
        for text in ["", "50", "50/", "/s", "0/s", "-1/s", "1.5/s", "50/d", "50/10s", "1000001/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
