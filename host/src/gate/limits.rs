//! The thresholds of a gate, and the level of a single measure.

use std::time::Duration;

/// The part of a threshold below which its state is left, in percent.
const LEFT_BELOW_PERCENT: u64 = 80;

/// The distance from `slow` to `shed`, in parts.
pub(super) const WHOLE: u32 = 1_000;

/// SQS keeps no message longer, so a larger age must be a wrong unit.
const LONGEST_AGE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// The level of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Open,
    Slow,
    Shed,
}

/// The two thresholds of a measure: `0 < slow < shed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    slow: u64,
    shed: u64,
}

impl Limit {
    fn new(slow: u64, shed: u64) -> Result<Self, String> {
        if slow == 0 || shed <= slow {
            return Err(
                "must be SLOW,SHED, where SLOW is more than nothing and SHED is more than SLOW".to_owned()
            );
        }
        Ok(Self { slow, shed })
    }

    pub(super) fn shed(self) -> u64 {
        self.shed
    }

    /// Returns the level of a value after another level.
    pub(super) fn level(self, before: Level, value: u64) -> Level {
        let is_in = |level: Level, from: u64| value >= from || (before >= level && value >= left_below(from));
        if is_in(Level::Shed, self.shed) {
            Level::Shed
        } else if is_in(Level::Slow, self.slow) {
            Level::Slow
        } else {
            Level::Open
        }
    }

    /// Returns the position of a value between `slow` and `shed`, in parts of [`WHOLE`].
    pub(super) fn part(self, value: u64) -> u32 {
        let gone = u128::from(value.saturating_sub(self.slow)) * u128::from(WHOLE);
        let part = gone / u128::from(self.shed - self.slow);
        u32::try_from(part).unwrap_or(WHOLE).min(WHOLE)
    }
}

/// Returns the value below which the state of a threshold is left.
pub(super) fn left_below(threshold: u64) -> u64 {
    // Small thresholds have no smaller value to use.
    threshold
        - threshold / 100 * (100 - LEFT_BELOW_PERCENT)
        - threshold % 100 * (100 - LEFT_BELOW_PERCENT) / 100
}

/// The thresholds of a gate. Without thresholds, the gate is always open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GateLimits {
    pub(super) depth: Option<Limit>,
    /// The ages in milliseconds.
    pub(super) age: Option<Limit>,
}

impl GateLimits {
    /// Sets the numbers of waiting messages from which producers are slowed down and refused.
    ///
    /// # Errors
    /// If not `0 < slow < shed`.
    pub fn depth(self, slow: u64, shed: u64) -> Result<Self, String> {
        Ok(Self { depth: Some(Limit::new(slow, shed)?), ..self })
    }

    /// Sets the ages of the oldest message from which producers are slowed down and refused.
    ///
    /// # Errors
    /// If not `0 < slow < shed`, or `shed` is longer than SQS keeps messages: 14 days.
    pub fn age(self, slow: Duration, shed: Duration) -> Result<Self, String> {
        if shed > LONGEST_AGE {
            return Err("must be at most 14d: SQS keeps no message longer".to_owned());
        }
        let millis = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Ok(Self { age: Some(Limit::new(millis(slow), millis(shed))?), ..self })
    }

    /// Returns true if the gate is always open.
    pub fn is_off(&self) -> bool {
        self.depth.is_none() && self.age.is_none()
    }

    /// Returns true if the age of the oldest message counts.
    pub fn has_age(&self) -> bool {
        self.age.is_some()
    }

    /// Reads `SLOW,SHED` in messages, or `off`.
    ///
    /// # Errors
    /// The reason why it cannot be used, as a text.
    pub fn with_depth_text(self, text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            text.parse().map_err(|_| {
                "must be off, or two whole numbers of messages SLOW,SHED, such as 10000,100000".to_owned()
            })
        };
        match two(text, number)? {
            Some((slow, shed)) => self.depth(slow, shed),
            None => Ok(Self { depth: None, ..self }),
        }
    }

    /// Reads `SLOW,SHED` in durations, or `off`.
    ///
    /// # Errors
    /// The reason why it cannot be used, as a text.
    pub fn with_age_text(self, text: &str) -> Result<Self, String> {
        let duration = |text: &str| {
            humantime::parse_duration(text)
                .map_err(|_| "must be off, or two durations SLOW,SHED, such as 1m,10m".to_owned())
        };
        match two(text, duration)? {
            Some((slow, shed)) => self.age(slow, shed),
            None => Ok(Self { age: None, ..self }),
        }
    }
}

fn two<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<(T, T)>, String> {
    if text.trim() == "off" {
        return Ok(None);
    }
    let (slow, shed) = text.split_once(',').unwrap_or((text, ""));
    Ok(Some((parse(slow.trim())?, parse(shed.trim())?)))
}

/// Returns an age in whole seconds.
pub(super) fn age_text(millis: u64) -> String {
    humantime::format_duration(Duration::from_secs(millis / 1_000)).to_string()
}
