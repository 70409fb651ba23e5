//! Reads settings one by one, and collects their problems.

#[cfg(feature = "images")]
use std::num::NonZeroU64;
#[cfg(feature = "images")]
use std::ops::RangeInclusive;
use std::path::PathBuf;
#[cfg(feature = "images")]
use std::str::FromStr;
use std::time::Duration;

use super::invalid::InvalidSetting;

pub(super) struct Reader<L> {
    lookup: L,
    pub(super) problems: Vec<InvalidSetting>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    pub(super) fn new(lookup: L) -> Self {
        Self { lookup, problems: Vec::new() }
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    pub(super) fn problem(&mut self, name: &'static str, problem: impl Into<String>) {
        self.problems.push(InvalidSetting { name, problem: problem.into() });
    }

    pub(super) fn folder(&mut self, name: &'static str, default: &str) -> PathBuf {
        let value = self.get(name).unwrap_or_else(|| default.to_owned());
        std::path::absolute(&value).unwrap_or_else(|error| {
            self.problem(name, format!("{value} is no path: {error}"));
            PathBuf::new()
        })
    }

    #[cfg(feature = "images")]
    pub(super) fn count(&mut self, name: &'static str, default: NonZeroU64) -> u64 {
        let Some(value) = self.get(name) else { return default.get() };
        NonZeroU64::from_str(&value)
            .unwrap_or_else(|_| {
                self.problem(name, format!("not a number from 1: {value}"));
                default
            })
            .get()
    }

    /// Reads a whole number within a range.
    #[cfg(feature = "images")]
    pub(super) fn within(&mut self, name: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(value) = self.get(name) else { return default };
        match value.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.problem(
                    name,
                    format!("not a number from {} to {}: {value}", range.start(), range.end()),
                );
                default
            }
        }
    }

    /// Reads a time such as `10s`, longer than zero and at most `max`.
    pub(super) fn time(&mut self, name: &'static str, default: Duration, max: Duration) -> Duration {
        let Some(value) = self.get(name) else { return default };
        match humantime::parse_duration(&value) {
            Ok(time) if !time.is_zero() && time <= max => time,
            _ => {
                let max = humantime::format_duration(max);
                self.problem(name, format!("not a time up to {max}, such as 10s: {value}"));
                default
            }
        }
    }
}
